import type { Month } from '../month.ts'
import type { ResourcesOfType } from './decision.ts'

/** The calls of one batch that share all that decides about them, and so one verdict. */
export interface CallGroup {
  digest: Uint8Array
  apiCall: string
  /** How many to charge. A group with `calls: 0` is judged but not charged. */
  calls: number
  /** The client's address, '' for an unknown one; null if the group was formed without regard to addresses. */
  address: string | null
  /** The resource's type, '' for none; null if the group was formed without regard to resources. */
  resourceType: string | null
  resourceId: string | null
  /** A call with an id is a group of its own. */
  requestId: string | null
}

export type Verdict =
  | 'allowed'
  | 'disabled'
  | 'expired'
  | 'suspended'
  | 'unknown API call'
  | 'access denied'
  | 'resource denied'
  | 'network denied'
  /** The key has networks or resources, and the group was formed without regard to them. */
  | 'needs details'
  /** Counted before under its id. */
  | 'replayed'
  | 'request id reused'
  /** An earlier group of the batch has the same key and id, so this one must be judged after it. */
  | 'undecided'

/** What is known of a group's key; null if no key has the digest. */
export type GroupVerdict = {
  apiKeyId: string
  accountId: string
  verdict: Verdict
  previousSecret: boolean
  /** What calls with this key must be grouped by. */
  needs: Needs
  /** The API call, if it has a rate. */
  limitedApiCallId: string | null
} | null

/** What calls must be grouped by besides secret and API call. */
export interface Needs {
  resources: boolean
  addresses: boolean
}

/** A token bucket as it is after the charge. */
export interface Bucket {
  calls: number
  perSeconds: number
  /** How many calls it has room for. */
  room: number
  /** Milliseconds until it is full again. */
  fullInMs: number
  /** Milliseconds until it has room for a call; 0 if it has. */
  roomInMs: number
}

export interface AccountCharge {
  externalId: string
  calls: number
  quota: number | null
  /** True if all of the account's allowed groups were charged; false if none was, because they exceed a limit. */
  charged: boolean
}

/** What a commit charged and found. Totals are those after the commit. */
export interface Charge {
  /** One per group, in the groups' order. */
  verdicts: GroupVerdict[]
  accounts: Map<string, AccountCharge>
  apiKeyCalls: Map<string, number>
  /** The monthly limits of the keys that have one. */
  apiKeyLimits: Map<string, number>
  /** The buckets of allowed groups, by `bucketId`. */
  buckets: Map<string, Bucket>
  /** The resources of keys with allowed groups that may not touch all. */
  resources: Map<string, ResourcesOfType[]>
}

/** Names a bucket: the account's own id, or that of a key or API call. */
export const bucketId = (accountId: string, subjectId: string) => `${accountId} ${subjectId}`

/** A charge failed and certainly charged nothing, because of a change at the same time: it may be sent again. */
export class NothingChargedError extends Error {}

export interface UsageStore {
  /**
   * Judges every group by the keys as they are now and charges the allowed ones, in one commit. An account's groups
   * are charged all together if they fit every limit, else not at all. Rejects as soon as `timeUp` aborts and keeps no
   * connection or memory then; what was already sent may still be charged.
   * @throws NothingChargedError; after any other error, the groups may have been charged
   */
  charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge>
}
