import type { Clock } from '../../clock.ts'
import type { Charge } from '../metering/usage-store.ts'
import type { Month } from '../month.ts'
import { AccountHub, type LiveUsageStore } from './account-hub.ts'
import { accountTopic, type EventBus, everyAccountTopic } from './event-bus.ts'
import { Watcher } from './watcher.ts'

export interface WatchOptions {
  accountId: string
  /** The keys to be told of; all of the account's where left out. */
  apiKeyIds?: ReadonlySet<string> | undefined
  /** When the watcher's token expires. */
  until?: Date | undefined
}

export interface LiveUsageOptions {
  store: LiveUsageStore
  bus: EventBus
  clock: Clock
  /** The least time between two events to one subscriber, in milliseconds. */
  intervalMs: number
  /** A commit whose answer was lost may still happen within this long. */
  lateCommitMs: number
}

/** What was not told of is read from the database no more often than this, however many commits fail. */
const uncertainEveryMs = 1_000

/**
 * So many subscribers are told something in a turn of the event loop. Metered calls that arrive meanwhile would
 * otherwise wait until the last of thousands has been sent its frame.
 */
const wakesPerTurn = 25

/** Call counts as they happen, for any number of subscribers: one hub an account, made when somebody watches. */
export class LiveUsage {
  readonly #store: LiveUsageStore
  readonly #bus: EventBus
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #hubs = new Map<string, { hub: AccountHub; unsubscribe: () => void }>()
  readonly #unsubscribe: () => void
  /** Of the watchers that there may be something new for, in the order in which it came. */
  readonly #toWake = new Set<() => void>()
  readonly #uncertainRounds: number
  #roundsLeft = 0
  #cancelRound: (() => void) | undefined

  constructor({ store, bus, clock, intervalMs, lateCommitMs }: LiveUsageOptions) {
    this.#store = store
    this.#bus = bus
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#uncertainRounds = 1 + Math.ceil(lateCommitMs / uncertainEveryMs)
    this.#unsubscribe = bus.subscribe(everyAccountTopic, (message) => {
      for (const { hub } of this.#hubs.values()) hub.receive(message)
    })
  }

  /** Tells every server what a commit has counted. */
  counted(month: Month, at: Date, charge: Charge): void {
    const lastCallAt = at.toISOString()
    const charged = new Map<string, Set<string>>()
    for (const verdict of charge.verdicts) {
      if (verdict?.access !== 'allowed' || !charge.accounts.get(verdict.accountId)?.charged) continue
      const apiKeyIds = charged.get(verdict.accountId)
      if (apiKeyIds) apiKeyIds.add(verdict.apiKeyId)
      else charged.set(verdict.accountId, new Set([verdict.apiKeyId]))
    }
    for (const [accountId, apiKeyIds] of charged) {
      const { calls = 0, quota = null } = charge.accounts.get(accountId) ?? {}
      this.#bus.publish(accountTopic(accountId), {
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

  /** Tells every server that an account's keys or plan have changed. */
  accountChanged(accountId: string): void {
    this.#bus.publish(accountTopic(accountId), { kind: 'changed' })
  }

  /**
   * Tells every server that a commit may have counted what nobody was told of: at once, and every second from then on
   * until the last such commit must have happened, if it has.
   */
  inDoubt(): void {
    this.#roundsLeft = this.#uncertainRounds
    if (!this.#cancelRound) this.#tellUncertain()
  }

  #tellUncertain(): void {
    this.#cancelRound = undefined
    if (this.#roundsLeft === 0) return
    this.#roundsLeft--
    this.#bus.publish(everyAccountTopic, { kind: 'uncertain' })
    this.#cancelRound = this.#clock.after(uncertainEveryMs, () => this.#tellUncertain())
  }

  /** Tells every server that plans have changed. */
  plansChanged(): void {
    this.#bus.publish(everyAccountTopic, { kind: 'changed' })
  }

  /**
   * First a snapshot, then what changes, at most one event an interval; while the reader is slow, changes are
   * merged and nothing queues up. Ends with UnauthenticatedError when the token expires, and with
   * UnavailableError where the first read of the database fails.
   */
  watch({ accountId, apiKeyIds, until }: WatchOptions): Watcher {
    return new Watcher({
      clock: this.#clock,
      intervalMs: this.#intervalMs,
      apiKeyIds,
      until,
      join: (wake) => this.#join(accountId, wake),
      inTurn: (wake) => this.#wakeInTurn(wake),
    })
  }

  #wakeInTurn(wake: () => void): void {
    this.#toWake.add(wake)
    if (this.#toWake.size === 1) this.#wakeSoon()
  }

  #wakeSoon(): void {
    setImmediate(() => {
      let left = wakesPerTurn
      for (const wake of this.#toWake) {
        if (left-- === 0) return this.#wakeSoon()
        this.#toWake.delete(wake)
        wake()
      }
    })
  }

  /** Ends what this holds open. Subscribers are ended by whoever serves them. */
  close(): void {
    this.#cancelRound?.()
    this.#unsubscribe()
    for (const { hub, unsubscribe } of this.#hubs.values()) {
      unsubscribe()
      hub.close()
    }
    this.#hubs.clear()
  }

  /** The topic is joined before the database is read: what is counted in between arrives as a message. */
  #join(accountId: string, wake: () => void): { hub: AccountHub; ready: Promise<void>; leave: () => void } {
    let entry = this.#hubs.get(accountId)
    if (!entry) {
      const hub = new AccountHub(accountId, this.#store, this.#clock)
      entry = {
        hub,
        unsubscribe: this.#bus.subscribe(accountTopic(accountId), (message) => hub.receive(message)),
      }
      this.#hubs.set(accountId, entry)
    }
    const { hub, unsubscribe } = entry
    const { ready, leave } = hub.watch(wake)
    return {
      hub,
      ready,
      leave: () => {
        leave()
        if (hub.hasWatchers || this.#hubs.get(accountId)?.hub !== hub) return
        this.#hubs.delete(accountId)
        unsubscribe()
        hub.close()
      },
    }
  }
}
