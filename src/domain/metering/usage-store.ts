import type { Month } from '../month.ts'

/** The calls of one batch that share a secret and an API call, and so one verdict. */
export interface CallGroup {
  digest: Uint8Array
  apiCall: string
  /** How many to charge. A group with `calls: 0` is judged but not charged. */
  calls: number
}

/** The database's verdict on a group; null if no key has the digest. */
export type GroupVerdict = {
  apiKeyId: string
  accountId: string
  access: 'allowed' | 'denied' | 'unknown API call'
} | null

/** What a commit charged and found. Totals are those after the commit. */
export interface Charge {
  /** One per group, in the groups' order. */
  verdicts: GroupVerdict[]
  accounts: Map<
    string,
    {
      externalId: string
      calls: number
      quota: number | null
      /** True if all of the account's allowed groups were charged; false if none was, because they exceed its quota. */
      charged: boolean
    }
  >
  apiKeyCalls: Map<string, number>
}

export interface UsageStore {
  /**
   * Judges every group by the keys as they are now and charges the allowed ones, in one commit. An account's groups
   * are charged all together if they fit its quota, else not at all. Rejects as soon as `timeUp` aborts and keeps no
   * connection or memory then; what was already sent may still be charged.
   */
  charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge>
}
