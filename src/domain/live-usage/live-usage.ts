import type { Clock } from '../../clock.ts'
import { fixedLimits } from '../../limits.ts'
import type { Charge } from '../metering/usage-store.ts'
import type { Month } from '../month.ts'
import { AccountHub } from './account-hub.ts'
import type { CountList } from './count-list.ts'
import { accountTopic, type EventBus, everyAccountTopic, type UsageMessage } from './event-bus.ts'
import { RereadQueue } from './reread-queue.ts'
import { type LiveUsageStore, type RunStatement, readAllPages } from './usage-pages.ts'
import { Watcher, type WatcherOptions } from './watcher.ts'

export interface WatchOptions {
  accountId: string
  /** The keys to report; all of the account's if left out. */
  apiKeyIds?: ReadonlySet<string> | undefined
  /** When the watcher's token expires. */
  until?: Date | undefined
  /** What to await before an event of so many keys, or fewer, is delivered. Left out: nothing. */
  turn?: WatcherOptions['turn'] | undefined
}

export interface LiveUsageOptions {
  store: LiveUsageStore
  /** Connects this server to others; left out if there are none. */
  bus?: EventBus | undefined
  clock: Clock
  /** Runs a statement for an account as soon as it may use a database connection. */
  statement: RunStatement
  /** The minimum time between two events to one subscriber, in milliseconds. */
  intervalMs: number
  /** A commit whose answer was lost may still happen within this long. */
  lateCommitMs: number
  /** A random number from 0 to 1. */
  random?: () => number
}

/** Counts in doubt are read from the database no more often than this, however many commits fail. */
const inDoubtEveryMs = 1_000

/**
 * Call counts as they happen, for any number of subscribers. An account that is being watched has one hub. What
 * happens on this server goes to its hubs directly, and to other servers over the bus.
 */
export class LiveUsage {
  readonly #store: LiveUsageStore
  readonly #bus: EventBus | undefined
  readonly #clock: Clock
  readonly #statement: RunStatement
  readonly #intervalMs: number
  readonly #random: () => number
  readonly #rereads = new RereadQueue(fixedLimits.rereadsAtOnce)
  readonly #hubs = new Map<string, { hub: AccountHub; unsubscribe: () => void }>()
  readonly #unsubscribe: () => void
  readonly #inDoubtRounds: number
  #roundsLeft = 0
  #cancelRound: (() => void) | undefined
  /** Messages to all hubs that are to be passed on, with what prevents it. */
  readonly #delayed = new Map<UsageMessage['kind'], () => void>()

  constructor(options: LiveUsageOptions) {
    const { store, bus, clock, statement, intervalMs, lateCommitMs, random = Math.random } = options
    this.#store = store
    this.#bus = bus
    this.#clock = clock
    this.#statement = statement
    this.#intervalMs = intervalMs
    this.#random = random
    this.#inDoubtRounds = 1 + Math.ceil(lateCommitMs / inDoubtEveryMs)
    this.#unsubscribe = this.#subscribe(everyAccountTopic, (message) => this.#receiveForAll(message))
  }

  /** Publishes what a commit counted. */
  counted(month: Month, at: Date, charge: Charge): void {
    const lastCallAt = at.toISOString()
    for (const [accountId, apiKeyIds] of chargedKeys(charge)) {
      if (!this.#bus && !this.#hubs.has(accountId)) continue
      const { calls = 0, quota = null } = charge.accounts.get(accountId) ?? {}
      this.#publish(accountId, {
        kind: 'counted',
        month,
        account: { calls, quota },
        apiKeys: [...apiKeyIds].map((apiKeyId) => ({
          apiKeyId,
          calls: charge.apiKeyCalls.get(apiKeyId) ?? 0,
          lastCallAt,
        })),
      })
    }
  }

  /** Publishes that an account's keys or plan changed. */
  accountChanged(accountId: string): void {
    this.#publish(accountId, { kind: 'changed' })
  }

  /** Publishes that plans changed. */
  plansChanged(): void {
    this.#publishForAll({ kind: 'changed' })
  }

  /**
   * Publishes that a commit without an answer may have counted calls: at once, and then every second until the last
   * such commit has happened, if it ever does.
   */
  inDoubt(): void {
    this.#roundsLeft = this.#inDoubtRounds
    if (!this.#cancelRound) this.#publishInDoubt()
  }

  #publishInDoubt(): void {
    this.#cancelRound = undefined
    if (this.#roundsLeft === 0) return
    this.#roundsLeft--
    this.#publishForAll({ kind: 'in doubt' })
    this.#cancelRound = this.#clock.after(inDoubtEveryMs, () => this.#publishInDoubt())
  }

  #publish(accountId: string, message: UsageMessage): void {
    this.#hubs.get(accountId)?.hub.receive(message)
    this.#bus?.publish(accountTopic(accountId), message)
  }

  #publishForAll(message: UsageMessage): void {
    this.#receiveForAll(message)
    this.#bus?.publish(everyAccountTopic, message)
  }

  /**
   * After a random time, because every server hears it, and each would read the database for all of its hubs. A message
   * that waits already stands for those that follow.
   */
  #receiveForAll(message: UsageMessage): void {
    if (this.#hubs.size === 0 || this.#delayed.has(message.kind)) return
    const cancel = this.#clock.after(this.#random() * fixedLimits.rereadSpreadMs, () => {
      this.#delayed.delete(message.kind)
      for (const { hub } of this.#hubs.values()) hub.receive(message)
    })
    this.#delayed.set(message.kind, cancel)
  }

  #subscribe(topic: string, listener: (message: UsageMessage) => void): () => void {
    return this.#bus?.subscribe(topic, listener) ?? (() => {})
  }

  /**
   * A snapshot first, then changes, at most one list per interval. While the reader is slow, changes are merged and
   * nothing queues up. Ends with UnauthenticatedError when the token expires, and with UnavailableError if the first
   * read of the database fails. Each event waits for its turn.
   */
  watch({ accountId, apiKeyIds, until, turn = () => undefined }: WatchOptions): Watcher {
    return new Watcher({
      clock: this.#clock,
      intervalMs: this.#intervalMs,
      apiKeyIds,
      until,
      join: (wake) => this.#join(accountId, wake),
      turn,
    })
  }

  /** Closes the hubs and leaves the bus. The transports end their subscribers. */
  close(): void {
    this.#cancelRound?.()
    for (const cancel of this.#delayed.values()) cancel()
    this.#unsubscribe()
    for (const { hub, unsubscribe } of this.#hubs.values()) {
      unsubscribe()
      hub.close()
    }
    this.#hubs.clear()
  }

  #join(accountId: string, wake: () => void): { counts: CountList; ready: Promise<void>; leave: () => void } {
    const entry = this.#hubs.get(accountId) ?? this.#openHub(accountId)
    const { hub, unsubscribe } = entry
    const { ready, leave } = hub.watch(wake)
    return {
      counts: hub.counts,
      ready,
      leave: () => {
        leave()
        if (hub.hasWatchers || this.#hubs.get(accountId) !== entry) return
        this.#hubs.delete(accountId)
        unsubscribe()
        hub.close()
      },
    }
  }

  /** Subscribes before the hub's first read, so that no count falls between the two. */
  #openHub(accountId: string): { hub: AccountHub; unsubscribe: () => void } {
    const readUsage = (month: Month) => readAllPages(this.#store, this.#statement, accountId, month)
    const hub = new AccountHub(readUsage, this.#clock, this.#rereads)
    const unsubscribe = this.#subscribe(accountTopic(accountId), (message) => hub.receive(message))
    const entry = { hub, unsubscribe }
    this.#hubs.set(accountId, entry)
    return entry
  }
}

/** The keys that a commit charged, by account. */
function chargedKeys({ verdicts, accounts }: Charge): Map<string, Set<string>> {
  const charged = new Map<string, Set<string>>()
  for (const verdict of verdicts) {
    if (verdict?.verdict !== 'allowed' || !accounts.get(verdict.accountId)?.charged) continue
    const apiKeyIds = charged.get(verdict.accountId)
    if (apiKeyIds) apiKeyIds.add(verdict.apiKeyId)
    else charged.set(verdict.accountId, new Set([verdict.apiKeyId]))
  }
  return charged
}
