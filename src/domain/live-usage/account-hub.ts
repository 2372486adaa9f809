import type { Clock } from '../../clock.ts'
import { type Month, monthOf, resetsAt } from '../month.ts'
import type { ApiKeyCount, UsageMessage } from './event-bus.ts'

/** An account's counts of one month, its removed keys left out. */
export interface UsageSnapshot {
  account: { calls: number; quota: number | null }
  apiKeys: ApiKeyCount[]
}

export interface LiveUsageStore {
  /** The counts as they are committed now; keys that were not called in the month have 0. */
  readUsage(accountId: string, month: Month): Promise<UsageSnapshot>
}

/** What a subscriber is sent. */
export interface LiveUsageEvent extends UsageSnapshot {
  month: Month
  /** True where `apiKeys` is the whole list and not just what has changed. */
  snapshot: boolean
}

/** How long after a failed read of the database the next one is tried. */
const retryAfterMs = 1_000

/**
 * One account's live counts on this server, shared by all who watch it.
 *
 *   loading ──(first read)──▶ live ──(change · month turn · a new watcher)──▶ live, reading again
 *
 * Counts only grow within a month, whatever order messages and reads arrive in. Each entry carries the version
 * of the hub at which it last changed, so that a watcher needs to remember no more than the version that it
 * has seen, however slowly it reads.
 */
export class AccountHub {
  readonly accountId: string
  readonly #store: LiveUsageStore
  readonly #clock: Clock
  readonly #watchers = new Set<() => void>()
  #month: Month
  #account: UsageSnapshot['account'] = { calls: 0, quota: null }
  #accountVersion = 0
  #apiKeys = new Map<string, { count: ApiKeyCount; version: number }>()
  #version = 0
  /** Watchers that have not seen this version are owed the whole list. */
  #snapshotVersion = 0
  #currentRead: Promise<void> | undefined
  #nextRead: Promise<void> | undefined
  #snapshotOwed = true
  /** Counts that arrived while the database was being read, which may not have seen them. */
  #countedMeanwhile: UsageSnapshot[] = []
  #cancelMonthTurn: () => void = () => {}
  #cancelRetry: () => void = () => {}
  #closed = false

  constructor(accountId: string, store: LiveUsageStore, clock: Clock) {
    this.accountId = accountId
    this.#store = store
    this.#clock = clock
    this.#month = monthOf(clock.now())
    this.#awaitMonthTurn()
  }

  get hasWatchers(): boolean {
    return this.#watchers.size > 0
  }

  /**
   * Calls `wake` whenever there may be something new. The hub reads the database once more before the promise
   * resolves, so that a watcher begins with what is true then. Returns what takes the watcher off again.
   * @throws whatever the read failed with
   */
  watch(wake: () => void): { ready: Promise<void>; leave: () => void } {
    this.#watchers.add(wake)
    return { ready: this.#read(), leave: () => this.#watchers.delete(wake) }
  }

  /** Takes in a message from the account's topic. */
  receive(message: UsageMessage): void {
    if (message.kind === 'uncertain') {
      this.recount()
      return
    }
    if (message.kind === 'changed' || message.month > this.#month) {
      this.refresh()
      return
    }
    if (message.month < this.#month) return
    if (this.#currentRead) this.#countedMeanwhile.push(message)
    this.#version++
    this.#mergeCounted(message)
    this.#wakeWatchers()
  }

  /** Reads the database again and owes every watcher the whole list. Tried until it succeeds. */
  refresh(): void {
    this.#snapshotOwed = true
    this.recount()
  }

  /** Reads the database again, for counts that no message told of. Tried until it succeeds. */
  recount(): void {
    this.#read().catch(() => {
      this.#cancelRetry()
      const retryAt = new Date(this.#clock.now().getTime() + retryAfterMs)
      this.#cancelRetry = this.#clock.at(retryAt, () => this.recount())
    })
  }

  /**
   * What has changed since a version that a watcher has seen (0 for none), for the keys it asked for, and the
   * version that it has then seen; null where nothing has.
   */
  since(
    seen: number,
    only: ReadonlySet<string> | undefined,
  ): { event: LiveUsageEvent; version: number } | null {
    const snapshot = seen < this.#snapshotVersion
    if (!snapshot && seen >= this.#version) return null
    const apiKeys: ApiKeyCount[] = []
    for (const { count, version } of this.#apiKeys.values()) {
      if ((snapshot || version > seen) && (!only || only.has(count.apiKeyId))) apiKeys.push(count)
    }
    if (!snapshot && apiKeys.length === 0 && this.#accountVersion <= seen) return null
    return {
      event: { month: this.#month, snapshot, account: this.#account, apiKeys },
      version: this.#version,
    }
  }

  close(): void {
    this.#closed = true
    this.#cancelMonthTurn()
    this.#cancelRetry()
  }

  #awaitMonthTurn(): void {
    this.#cancelMonthTurn()
    this.#cancelMonthTurn = this.#clock.at(resetsAt(this.#month), () => this.refresh())
  }

  /** One read at a time: what is asked for while one runs is served by the next, which begins after it. */
  #read(): Promise<void> {
    this.#nextRead ??= (this.#currentRead ?? Promise.resolve())
      .catch(() => {})
      .then(async () => {
        this.#currentRead = this.#nextRead
        this.#nextRead = undefined
        try {
          if (!this.#closed) await this.#readNow()
        } finally {
          this.#currentRead = undefined
          this.#countedMeanwhile = []
        }
      })
    return this.#nextRead
  }

  async #readNow(): Promise<void> {
    const owed = this.#snapshotOwed
    this.#snapshotOwed = false
    const month = monthOf(this.#clock.now())
    let read: UsageSnapshot
    try {
      read = await this.#store.readUsage(this.accountId, month)
    } catch (error) {
      this.#snapshotOwed ||= owed
      throw error
    }
    const turned = month !== this.#month
    if (turned) {
      this.#month = month
      this.#account = { calls: 0, quota: null }
      this.#apiKeys.clear()
      this.#awaitMonthTurn()
    }
    this.#version++
    const changedList = this.#mergeRead(read)
    if (!turned) for (const counted of this.#countedMeanwhile) this.#mergeCounted(counted)
    if (owed || turned || changedList) this.#snapshotVersion = this.#version
    this.#wakeWatchers()
  }

  /** Takes the list of keys and the quota as they were read. Returns whether the list is another one. */
  #mergeRead({ account, apiKeys }: UsageSnapshot): boolean {
    const before = this.#apiKeys
    this.#apiKeys = new Map()
    for (const count of apiKeys) {
      const known = before.get(count.apiKeyId)
      const newer = !known || count.calls > known.count.calls
      this.#apiKeys.set(count.apiKeyId, newer ? { count, version: this.#version } : known)
    }
    this.#setAccount({ calls: Math.max(account.calls, this.#account.calls), quota: account.quota })
    return before.size !== apiKeys.length || apiKeys.some(({ apiKeyId }) => !before.has(apiKeyId))
  }

  /** A key that is not on the list is not put on it by a count: only a read knows whether it is still there. */
  #mergeCounted({ account, apiKeys }: UsageSnapshot): void {
    for (const count of apiKeys) {
      const known = this.#apiKeys.get(count.apiKeyId)
      if (known && count.calls > known.count.calls)
        this.#apiKeys.set(count.apiKeyId, { count, version: this.#version })
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
