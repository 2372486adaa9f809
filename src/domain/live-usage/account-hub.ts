import type { Clock } from '../../clock.ts'
import { type Month, monthOf, resetsAt } from '../month.ts'
import { type Transitions, transition } from '../transitions.ts'
import { CountList } from './count-list.ts'
import type { UsageMessage } from './event-bus.ts'
import type { RereadQueue } from './reread-queue.ts'
import type { Counted, UsageSnapshot } from './usage-pages.ts'

/** How long after a failed read of the database the next one starts. */
const retryAfterMs = 1_000

type HubState = 'idle' | 'due' | 'reading' | 'outdated' | 'retrying' | 'closed'

const transitions: Transitions<HubState> = {
  idle: ['due', 'closed'],
  due: ['reading', 'closed'],
  reading: ['idle', 'outdated', 'retrying', 'closed'],
  outdated: ['due', 'closed'],
  retrying: ['due', 'closed'],
  closed: [],
}

/**
 * One account's live counts on this server, shared by all its watchers.
 *
 *   idle ──(a read is requested)──▶ due ──(its turn)───▶ reading ──(ended)──▶ idle
 *                                   ▲ ▲                   │     │
 *          (the current read ended) │ │                   │     └──(failed, must succeed)──▶ retrying
 *                          outdated─┘ │                   │                                     │
 *                              ▲      └──(1 s later, or a read is requested)────────────────────┘
 *                              └──────(a read is requested)
 *
 *   Every state but `closed` may become `closed`.
 *
 * Reads are requested by new watchers, changed keys or plans, a new month, and counts in doubt. One read runs at a
 * time; a request during a read needs another one, because the current one may have missed what it is about. Reads that
 * new watchers wait for start at once. The others take turns with those of other hubs, because one message may concern
 * all of them.
 *
 * What is known is in `counts`. Watchers take from there what changed since they last did.
 */
export class AccountHub {
  readonly counts: CountList
  readonly #readUsage: (month: Month) => Promise<UsageSnapshot>
  readonly #clock: Clock
  readonly #rereads: RereadQueue
  readonly #watchers = new Set<() => void>()
  #state: HubState = 'idle'
  /** What the next read must do. */
  #next: ReadRequest = { mustSucceed: false, sendsSnapshot: true, readers: [] }
  #isWaking = false
  #cancelMonthTimer = () => {}
  #cancelRetry = () => {}

  /** @param readUsage reads the account's counts as they are committed now */
  constructor(readUsage: (month: Month) => Promise<UsageSnapshot>, clock: Clock, rereads: RereadQueue) {
    this.#readUsage = readUsage
    this.#clock = clock
    this.#rereads = rereads
    this.counts = new CountList(monthOf(clock.now()))
    this.#refreshWhenMonthEnds()
  }

  get hasWatchers(): boolean {
    return this.#watchers.size > 0
  }

  /**
   * Calls `wake` whenever there may be something new. `ready` resolves after a read of the database that started after
   * this call, and rejects if that read fails. `leave` removes the watcher.
   */
  watch(wake: () => void): { ready: Promise<void>; leave: () => void } {
    this.#watchers.add(wake)
    const ready = new Promise<void>((resolve, reject) => {
      this.#next.readers.push({ resolve, reject })
      this.#requestRead()
    })
    return { ready, leave: () => this.#watchers.delete(wake) }
  }

  /** Takes in what happened to the account, on this server or another. */
  receive(message: UsageMessage): void {
    if (message.kind === 'in doubt') this.#recount()
    else if (message.kind === 'changed' || message.month > this.counts.month) this.#refresh()
    else if (message.month === this.counts.month) this.#takeInCounts(message)
  }

  /** Releases the timers. Watchers still waiting for their first read are let go without it. */
  close(): void {
    this.#enter('closed')
    this.#cancelMonthTimer()
    this.#cancelRetry()
    this.#rereads.remove(this.#readIfDue)
    for (const { resolve } of this.#next.readers) resolve()
  }

  #enter(next: HubState): void {
    this.#state = transition(transitions, this.#state, next)
  }

  #refreshWhenMonthEnds(): void {
    this.#cancelMonthTimer()
    this.#cancelMonthTimer = this.#clock.at(resetsAt(this.counts.month), () => this.#refresh())
  }

  /** Reads the database until that succeeds, and sends every watcher the whole list. */
  #refresh(): void {
    this.#next.sendsSnapshot = true
    this.#recount()
  }

  /** Reads the database until that succeeds. */
  #recount(): void {
    this.#next.mustSucceed = true
    this.#requestRead()
  }

  #requestRead(): void {
    if (this.#state === 'reading') this.#enter('outdated')
    else if (this.#state === 'due') this.#readInTurn()
    else if (this.#state === 'idle' || this.#state === 'retrying') this.#scheduleRead()
  }

  #scheduleRead(): void {
    this.#cancelRetry()
    this.#enter('due')
    this.#readInTurn()
  }

  /** In a microtask at the earliest, so that all requests made together share one read. */
  #readInTurn(): void {
    if (this.#next.readers.length > 0) queueMicrotask(this.#readIfDue)
    else this.#rereads.add(this.#readIfDue)
  }

  #readIfDue = async (): Promise<void> => {
    if (this.#state === 'due') await this.#read()
  }

  async #read(): Promise<void> {
    this.#enter('reading')
    const request = this.#next
    this.#next = { mustSucceed: false, sendsSnapshot: false, readers: [] }
    const month = monthOf(this.#clock.now())
    try {
      const usage = await this.#readUsage(month)
      this.counts.takeOver(usage, month, request.sendsSnapshot)
      // Also in the same month: the timer may have fired, and the clock been set back since.
      if (this.#state !== 'closed') this.#refreshWhenMonthEnds()
      this.#wakeWatchers()
      for (const { resolve } of request.readers) resolve()
    } catch (error) {
      this.#next.mustSucceed ||= request.mustSucceed
      this.#next.sendsSnapshot ||= request.sendsSnapshot
      for (const { reject } of request.readers) reject(error)
    } finally {
      this.counts.dropUnlisted()
      this.#endRead()
    }
  }

  #endRead(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'outdated') this.#scheduleRead()
    else if (this.#next.mustSucceed) {
      this.#enter('retrying')
      this.#cancelRetry = this.#clock.after(retryAfterMs, () => this.#scheduleRead())
    } else this.#enter('idle')
  }

  #takeInCounts(counted: Counted): void {
    this.counts.addCounted(counted, this.#state === 'reading' || this.#state === 'outdated')
    this.#wakeWatchers()
  }

  /** In a later turn of the event loop, so that metered calls are answered first. */
  #wakeWatchers(): void {
    if (this.#isWaking) return
    this.#isWaking = true
    setImmediate(() => {
      this.#isWaking = false
      for (const wake of this.#watchers) wake()
    })
  }
}

/** What is expected of one read of the database. */
interface ReadRequest {
  /** Retry until it succeeds. */
  mustSucceed: boolean
  /** Send every watcher the whole list afterwards. */
  sendsSnapshot: boolean
  /** Watchers whose first event waits for it. */
  readers: { resolve: () => void; reject: (error: unknown) => void }[]
}
