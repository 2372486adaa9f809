import { Repeater } from '@repeaterjs/repeater'
import type { Clock } from '../../clock.ts'
import { UnauthenticatedError, UnavailableError } from '../../errors.ts'
import type { Charge } from '../metering/usage-store.ts'
import type { Month } from '../month.ts'
import { AccountHub, type LiveUsageEvent, type LiveUsageStore } from './account-hub.ts'
import { accountTopic, type EventBus, everyAccountTopic } from './event-bus.ts'

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
}

/** Call counts as they happen, for any number of subscribers: one hub an account, made when somebody watches. */
export class LiveUsage {
  readonly #store: LiveUsageStore
  readonly #bus: EventBus
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #hubs = new Map<string, { hub: AccountHub; unsubscribe: () => void }>()
  readonly #unsubscribe: () => void

  constructor({ store, bus, clock, intervalMs }: LiveUsageOptions) {
    this.#store = store
    this.#bus = bus
    this.#clock = clock
    this.#intervalMs = intervalMs
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

  /** Tells every server that a commit may have counted what nobody was told of. */
  uncertain(): void {
    this.#bus.publish(everyAccountTopic, { kind: 'uncertain' })
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
  watch({ accountId, apiKeyIds, until }: WatchOptions): AsyncIterableIterator<LiveUsageEvent> {
    return new Repeater<LiveUsageEvent>(async (push, stop) => {
      let state: 'watching' | 'left' | 'expired' = 'watching'
      let wake = () => {}
      const becomes = (next: typeof state) => {
        if (state === 'watching') state = next
        wake()
      }
      void stop.then(() => becomes('left'))
      const cancelExpiry = until ? this.#clock.at(until, () => becomes('expired')) : () => {}
      let cancelPause = () => {}
      const { hub, ready, leave } = this.#join(accountId, () => wake())
      try {
        await ready.catch((cause) => {
          throw new UnavailableError('The counts cannot be read at the moment.', { cause })
        })
        let seen = 0
        let readerIsReady = true
        let nextAt = this.#clock.now()
        while (state === 'watching') {
          const next = readerIsReady && this.#clock.now() >= nextAt ? hub.since(seen, apiKeyIds) : null
          if (!next) {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
            continue
          }
          seen = next.version
          readerIsReady = false
          // Resolves when the reader asks for the event after this one.
          void Promise.resolve(push(next.event)).then(() => {
            readerIsReady = true
            wake()
          })
          nextAt = new Date(this.#clock.now().getTime() + this.#intervalMs)
          cancelPause = this.#clock.at(nextAt, () => wake())
        }
        if (state === 'expired') throw new UnauthenticatedError('The token has expired.')
      } finally {
        cancelExpiry()
        cancelPause()
        leave()
      }
    })
  }

  /** Ends what this holds open. Subscribers are ended by whoever serves them. */
  close(): void {
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
