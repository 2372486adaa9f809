import type { Month } from '../month.ts'

/** Calls of one batch that share their secret and their API call, so that they are judged as one. */
export interface CallGroup {
  digest: Uint8Array
  apiCall: string
  /** How many are to be counted; a group of none is judged, and its totals are told. */
  calls: number
}

/** What the database says of a group; null where no key has the digest. */
export type GroupVerdict = {
  apiKeyId: string
  accountId: string
  access: 'allowed' | 'denied' | 'unknown API call'
} | null

/** What a commit did and found. Totals are those after it. */
export interface Charge {
  /** One entry a group, in the groups' order. */
  verdicts: GroupVerdict[]
  accounts: Map<
    string,
    {
      externalId: string
      calls: number
      quota: number | null
      /** Whether all of the account's allowed groups were counted; if not, none was: they exceed its quota. */
      charged: boolean
    }
  >
  apiKeyCalls: Map<string, number>
}

export interface UsageStore {
  /**
   * Judges every group by the keys as they are now and counts the allowed ones, in one commit: each account's
   * wholly where they fit in its quota, else not at all. Rejects as soon as `timeUp` says so, and holds on to
   * nothing then; what had been sent by that time may still be counted.
   */
  charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge>
}
