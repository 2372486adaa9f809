import type { Month } from '../month.ts'

/** A call that a gateway asks about. */
export interface MeteredCall {
  secret: string
  /** A name from the catalogue. */
  apiCall: string
}

export type DecisionCode =
  | 'ADMITTED'
  | 'KEY_INVALID'
  | 'ACCESS_DENIED'
  | 'QUOTA_EXCEEDED'
  | 'API_CALL_UNKNOWN'

/** The answer to one call. A refusal is a decision, not an error. */
export type Decision =
  | { code: 'KEY_INVALID' }
  | {
      code: Exclude<DecisionCode, 'KEY_INVALID'>
      apiKeyId: string
      accountExternalId: string
      /** Calls by this key this month, this one included when admitted. */
      apiKeyCalls: number
      account: AccountTotals
    }

/** An account's month. */
export interface AccountTotals {
  month: Month
  calls: number
  /** Null means no limit. */
  quota: number | null
}

/** How many more calls the quota allows; never negative, null where there is no limit. */
export function remainingOf({ calls, quota }: { calls: number; quota: number | null }): number | null {
  return quota === null ? null : Math.max(0, quota - calls)
}
