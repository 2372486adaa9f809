import type { Clock } from '../../clock.ts'
import { type Month, monthOf, resetsAt } from '../month.ts'
import { type Transitions, transition } from '../transitions.ts'
import type { ApiKeyCount, UsageMessage } from './event-bus.ts'
import type { RereadQueue } from './reread-queue.ts'

/** A key's count, and its own monthly limit; null means none. */
export interface LimitedApiKeyCount extends ApiKeyCount {
  limit: number | null
}

/** An account's counts for one month, without its removed keys. */
export interface UsageSnapshot {
  account: { calls: number; quota: number | null }
  apiKeys: LimitedApiKeyCount[]
}

/** What a commit counted. */
type Counted = Pick<UsageSnapshot, 'account'> & { apiKeys: ApiKeyCount[] }

export interface LiveUsageStore {
  /** The counts as committed now. Keys that were not called in the month have 0. */
  readUsage(accountId: string, month: Month): Promise<UsageSnapshot>
}

/** What a subscriber is sent. */
export interface LiveUsageEvent extends UsageSnapshot {
  month: Month
  /** True if `apiKeys` is the whole list, false if it holds only what changed. */
  snapshot: boolean
}

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
 * Counts only grow within a month, so messages and reads may arrive in any order: the larger count wins. Each entry
 * carries the hub's version at which it last changed. A watcher remembers only the version it has seen, however slowly
 * it reads.
 */
export class AccountHub {
  readonly accountId: string
  readonly #store: LiveUsageStore
  readonly #clock: Clock
  readonly #rereads: RereadQueue
  readonly #watchers = new Set<() => void>()
  #state: HubState = 'idle'
  #month: Month
  #account: UsageSnapshot['account'] = { calls: 0, quota: null }
  #accountVersion = 0
  #apiKeys = new Map<string, { count: LimitedApiKeyCount; version: number }>()
  #version = 0
  /** Watchers that have not seen this version get the whole list. */
  #snapshotVersion = 0
  /** What the next read must do. */
  #next: ReadRequest = { mustSucceed: false, sendsSnapshot: true, readers: [] }
  /** Counts that arrived during the current read, which may not include them. */
  #countedDuringRead: Counted[] = []
  #cancelMonthTimer = () => {}
  #cancelRetry = () => {}

  constructor(accountId: string, store: LiveUsageStore, clock: Clock, rereads: RereadQueue) {
    this.accountId = accountId
    this.#store = store
    this.#clock = clock
    this.#rereads = rereads
    this.#month = monthOf(clock.now())
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
    else if (message.kind === 'changed' || message.month > this.#month) this.#refresh()
    else if (message.month === this.#month) this.#takeInCounts(message)
  }

  /**
   * What changed after version `seen` (0 for none) for the keys in `only`, and the version that this brings the
   * watcher to; null if nothing changed.
   */
  since(
    seen: number,
    only: ReadonlySet<string> | undefined,
  ): { event: LiveUsageEvent; version: number } | null {
    const snapshot = seen < this.#snapshotVersion
    if (!snapshot && seen >= this.#version) return null
    const apiKeys: LimitedApiKeyCount[] = []
    for (const { count, version } of this.#apiKeys.values()) {
      if ((snapshot || version > seen) && (!only || only.has(count.apiKeyId))) apiKeys.push(count)
    }
    if (!snapshot && apiKeys.length === 0 && this.#accountVersion <= seen) return null
    return {
      event: { month: this.#month, snapshot, account: this.#account, apiKeys },
      version: this.#version,
    }
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
    this.#cancelMonthTimer = this.#clock.at(resetsAt(this.#month), () => this.#refresh())
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
      const usage = await this.#store.readUsage(this.accountId, month)
      this.#takeInRead(usage, month, request.sendsSnapshot)
      for (const { resolve } of request.readers) resolve()
    } catch (error) {
      this.#next.mustSucceed ||= request.mustSucceed
      this.#next.sendsSnapshot ||= request.sendsSnapshot
      for (const { reject } of request.readers) reject(error)
    } finally {
      this.#countedDuringRead = []
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
    if (this.#state === 'reading' || this.#state === 'outdated') this.#countedDuringRead.push(counted)
    this.#version++
    this.#mergeCounted(counted)
    this.#wakeWatchers()
  }

  #takeInRead(usage: UsageSnapshot, month: Month, sendsSnapshot: boolean): void {
    const newMonth = month !== this.#month
    if (newMonth) {
      this.#month = month
      this.#account = { calls: 0, quota: null }
      this.#apiKeys.clear()
    }
    // Also in the same month: the timer may have fired, and the clock been set back since.
    if (this.#state !== 'closed') this.#refreshWhenMonthEnds()
    this.#version++
    const listChanged = this.#mergeRead(usage)
    if (!newMonth) for (const counted of this.#countedDuringRead) this.#mergeCounted(counted)
    if (sendsSnapshot || newMonth || listChanged) this.#snapshotVersion = this.#version
    this.#wakeWatchers()
  }

  /** Takes over the list of keys, their limits and the quota. Returns whether the list changed. */
  #mergeRead({ account, apiKeys }: UsageSnapshot): boolean {
    const before = this.#apiKeys
    this.#apiKeys = new Map()
    for (const count of apiKeys) {
      const known = before.get(count.apiKeyId)
      const newer = !known || count.calls > known.count.calls ? count : { ...known.count, limit: count.limit }
      const changed = newer === count || newer.limit !== known?.count.limit
      this.#apiKeys.set(count.apiKeyId, changed ? { count: newer, version: this.#version } : known)
    }
    this.#setAccount({ calls: Math.max(account.calls, this.#account.calls), quota: account.quota })
    return before.size !== apiKeys.length || apiKeys.some(({ apiKeyId }) => !before.has(apiKeyId))
  }

  /** Only a read can add a key: it may have been removed since the message was sent. */
  #mergeCounted({ account, apiKeys }: Counted): void {
    for (const count of apiKeys) {
      const known = this.#apiKeys.get(count.apiKeyId)
      if (known && count.calls > known.count.calls)
        this.#apiKeys.set(count.apiKeyId, {
          count: { ...count, limit: known.count.limit },
          version: this.#version,
        })
    }
    if (account.calls >= this.#account.calls) this.#setAccount(account)
  }

  #setAccount(account: UsageSnapshot['account']): void {
    if (account.calls === this.#account.calls && account.quota === this.#account.quota) return
    this.#account = { calls: account.calls, quota: account.quota }
    this.#accountVersion = this.#version
  }

  #wakeWatchers(): void {
    for (const wake of this.#watchers) wake()
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
