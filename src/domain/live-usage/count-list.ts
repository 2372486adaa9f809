import { fixedLimits } from '../../limits.ts'
import type { Month } from '../month.ts'
import type { ApiKeyCount } from './event-bus.ts'
import type { Counted, LimitedApiKeyCount, UsageSnapshot } from './usage-pages.ts'

/** What a subscriber is sent: a list of keys, or a part of one. */
export interface LiveUsageEvent extends UsageSnapshot {
  month: Month
  /** True where a list of all keys begins, false if `apiKeys` continues a list or holds only what changed. */
  snapshot: boolean
  /** False while the next events continue the list. */
  complete: boolean
  /** What subscribers read besides, kept for those who read the same for the same version of the counts. */
  shared: Map<string, unknown>
}

/** How far a subscriber has read. It is all that is kept for one, however slowly it reads. */
export interface Place {
  /** It has every change up to this version. */
  readonly seen: number
  /** The list that it has a part of. */
  readonly unfinished?: {
    readonly isSnapshot: boolean
    /** When it has the rest, it has every change up to this version. */
    readonly version: number
    /** The last key that it has. */
    readonly after: string
  }
}

/** The place of a subscriber that has read nothing. */
export const nothingRead: Place = { seen: 0 }

interface Entry {
  count: LimitedApiKeyCount
  /** When the count or the limit last changed. */
  version: number
}

interface Answer {
  event: LiveUsageEvent
  place: Place
}

const { apiKeysPerEvent, sharedEvents } = fixedLimits

/**
 * An account's counts for one month, and what of them has changed since any version. Counts only grow within a month, so
 * messages and reads may arrive in any order: the larger count wins.
 */
export class CountList {
  month: Month
  #account: UsageSnapshot['account'] = { calls: 0, quota: null }
  #accountVersion = 0
  /** In the order of their ids. */
  #entries: Entry[] = []
  #byId = new Map<string, Entry>()
  #version = 0
  /** Subscribers that have not seen this version get the whole list. */
  #snapshotVersion = 0
  /** The month began with this version. */
  #monthVersion = 0
  /** Counts of keys that are not on the list, which may belong to a read that has begun. */
  readonly #unlisted = new Map<string, ApiKeyCount>()
  /** The events of this version, by the place that they continue from. */
  readonly #events = new Map<string, Answer | null>()
  #shared = new Map<string, unknown>()

  constructor(month: Month) {
    this.month = month
  }

  /** The number of keys. */
  get size(): number {
    return this.#entries.length
  }

  /** Takes in what a commit counted. @param isReading whether a read that has begun may add keys */
  addCounted({ account, apiKeys }: Counted, isReading: boolean): void {
    this.#beginVersion()
    for (const count of apiKeys) {
      const entry = this.#byId.get(count.apiKeyId)
      if (entry) this.#raise(entry, count)
      // Only a read can add a key: it may have been removed since the message was sent.
      else if (isReading)
        this.#unlisted.set(count.apiKeyId, larger(count, this.#unlisted.get(count.apiKeyId)))
    }
    if (account.calls >= this.#account.calls) this.#setAccount(account)
  }

  /**
   * Takes over the list of keys, their limits and the quota from a read.
   * @param sendsSnapshot whether every subscriber gets the whole list, even if no key was added or removed
   */
  takeOver({ account, apiKeys }: UsageSnapshot, month: Month, sendsSnapshot: boolean): void {
    this.#beginVersion()
    const isNewMonth = month !== this.month
    if (isNewMonth) this.#beginMonth(month)
    const before = this.#byId
    this.#byId = new Map()
    this.#entries = apiKeys.map((count) => {
      const entry = before.get(count.apiKeyId) ?? { count, version: this.#version }
      this.#setLimit(entry, count.limit)
      this.#raise(entry, larger(count, this.#unlisted.get(count.apiKeyId)))
      this.#byId.set(count.apiKeyId, entry)
      return entry
    })
    this.#unlisted.clear()
    this.#setAccount({ calls: Math.max(account.calls, this.#account.calls), quota: account.quota })
    const listChanged =
      before.size !== apiKeys.length || apiKeys.some(({ apiKeyId }) => !before.has(apiKeyId))
    if (sendsSnapshot || isNewMonth || listChanged) this.#snapshotVersion = this.#version
  }

  /** Forgets counts of keys that a failed read might have added. */
  dropUnlisted(): void {
    this.#unlisted.clear()
  }

  /** Whether there may be something new for a subscriber. */
  mayHaveNews({ seen, unfinished }: Place): boolean {
    return unfinished !== undefined || seen < this.#version
  }

  /**
   * The next event of a subscriber for the keys in `only`, which are in order, and the place that it brings it to; null
   * if nothing changed. Lists of more than `apiKeysPerEvent` keys take several events. One that has begun is finished
   * before the next one begins, so that an account whose keys change all the time gets to the end of its list; only a
   * new month makes it void.
   */
  since(place: Place, only: readonly string[] | undefined): Answer | null {
    if (only) return this.#next(place, only)
    const { seen, unfinished } = place
    const name = unfinished ? `${seen} ${unfinished.version} ${unfinished.after}` : String(seen)
    const known = this.#events.get(name)
    if (known !== undefined) return known
    const answer = this.#next(place, undefined)
    if (this.#events.size < sharedEvents) this.#events.set(name, answer)
    return answer
  }

  #next({ seen, unfinished }: Place, only: readonly string[] | undefined): Answer | null {
    const begun = unfinished && unfinished.version >= this.#monthVersion ? unfinished : undefined
    if (!begun && seen >= this.#version) return null
    const isSnapshot = begun?.isSnapshot ?? seen < this.#snapshotVersion
    const { apiKeys, complete } = this.#part(isSnapshot ? -1 : seen, begun?.after, only)
    if (!begun && !isSnapshot && apiKeys.length === 0 && this.#accountVersion <= seen) return null
    const version = begun?.version ?? this.#version
    const after = apiKeys.at(-1)?.apiKeyId ?? ''
    return {
      event: {
        month: this.month,
        snapshot: isSnapshot && !begun,
        complete,
        account: this.#account,
        apiKeys,
        shared: this.#shared,
      },
      place: complete ? { seen: version } : { seen, unfinished: { isSnapshot, version, after } },
    }
  }

  /** The counts that changed after a version, from the key after `after` on; `complete` if there are no more. */
  #part(since: number, after: string | undefined, only: readonly string[] | undefined) {
    const apiKeys: LimitedApiKeyCount[] = []
    const length = only?.length ?? this.#entries.length
    const idAt = (i: number) => only?.[i] ?? this.#entries[i]?.count.apiKeyId ?? ''
    for (let i = after === undefined ? 0 : firstAfter(after, length, idAt); i < length; i++) {
      const entry = only ? this.#byId.get(only[i] as string) : this.#entries[i]
      if (!entry || entry.version <= since) continue
      if (apiKeys.length === apiKeysPerEvent) return { apiKeys, complete: false }
      apiKeys.push(entry.count)
    }
    return { apiKeys, complete: true }
  }

  #beginVersion(): void {
    this.#version++
    this.#events.clear()
    this.#shared = new Map()
  }

  #beginMonth(month: Month): void {
    this.month = month
    this.#monthVersion = this.#version
    this.#account = { calls: 0, quota: null }
    this.#entries = []
    this.#byId = new Map()
    this.#unlisted.clear()
  }

  #raise(entry: Entry, count: ApiKeyCount): void {
    if (count.calls <= entry.count.calls) return
    entry.count = { ...count, limit: entry.count.limit }
    entry.version = this.#version
  }

  #setLimit(entry: Entry, limit: number | null): void {
    if (limit === entry.count.limit) return
    entry.count = { ...entry.count, limit }
    entry.version = this.#version
  }

  #setAccount({ calls, quota }: UsageSnapshot['account']): void {
    if (calls === this.#account.calls && quota === this.#account.quota) return
    this.#account = { calls, quota }
    this.#accountVersion = this.#version
  }
}

function larger(count: ApiKeyCount, other: ApiKeyCount | undefined): ApiKeyCount {
  return other && other.calls > count.calls ? other : count
}

/** The position of the first of `length` ascending ids that comes after `id`. */
function firstAfter(id: string, length: number, idAt: (position: number) => string): number {
  let [from, to] = [0, length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (idAt(middle) <= id) from = middle + 1
    else to = middle
  }
  return from
}
