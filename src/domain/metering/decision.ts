import { type Month, resetsAt } from '../month.ts'

/** A call that a gateway asks about. Its optional parts must have passed `inputIssuesOf`. */
export interface MeteredCall {
  secret: string
  /** A name from the catalogue. */
  apiCall: string
  /** The address that the API's caller came from; any text. */
  clientIp?: string | null | undefined
  /** What the call touches. */
  resource?: { type: string; id?: string | null | undefined } | null | undefined
  /** Unique to the call: sent again within 24 hours, it is not counted again. */
  requestId?: string | null | undefined
}

export type DecisionCode =
  | 'ADMITTED'
  | 'KEY_INVALID'
  | 'KEY_DISABLED'
  | 'KEY_EXPIRED'
  | 'ACCOUNT_SUSPENDED'
  | 'API_CALL_UNKNOWN'
  | 'ACCESS_DENIED'
  | 'RESOURCE_DENIED'
  | 'NETWORK_DENIED'
  | 'REQUEST_ID_REUSED'
  | 'RATE_LIMITED'
  | 'KEY_LIMIT_EXCEEDED'
  | 'QUOTA_EXCEEDED'

/** The refusals that end by themselves. */
export type LimitCode = 'RATE_LIMITED' | 'KEY_LIMIT_EXCEEDED' | 'QUOTA_EXCEEDED'

/** The answer to one call. A refusal is a decision, not an error. */
export type Decision = { code: 'KEY_INVALID' } | ApiKeyDecision

/** The answer to a call with the secret of a key. */
export interface ApiKeyDecision {
  code: Exclude<DecisionCode, 'KEY_INVALID'>
  apiKeyId: string
  accountExternalId: string
  /** Calls by this key this month, this one included when admitted. */
  apiKeyCalls: number
  account: AccountTotals
  /** When another try is worth it; null for other refusals than those by limits, and where the limit is 0. */
  retryAt: Date | null
  /** Admitted before under this requestId, and not counted again. */
  replayed: boolean
  /** The secret is the one before the last re-generation. */
  previousSecret: boolean
  /** The buckets that the call had to pass. */
  rateLimits: RateLimitState[]
  /** Null means all; empty if the call was refused. */
  allowedResources: ResourcesOfType[] | null
}

/** An account's month. */
export interface AccountTotals {
  month: Month
  calls: number
  /** Null means no limit. */
  quota: number | null
}

export type RateLimitScope = 'ACCOUNT' | 'API_CALL' | 'API_KEY'

/** How full a token bucket is. */
export interface RateLimitState {
  scope: RateLimitScope
  calls: number
  perSeconds: number
  /** How many calls it has room for. */
  remaining: number
  /** When it will be full again if no further call takes from it. */
  resetsAt: Date
}

/** Resources of one type that a key may touch. */
export interface ResourcesOfType {
  type: string
  /** Null means all of the type. */
  ids: string[] | null
}

/** How many more calls the quota allows; never negative, null where there is no limit. */
export function remainingOf({ calls, quota }: { calls: number; quota: number | null }): number | null {
  return quota === null ? null : Math.max(0, quota - calls)
}

/** When a monthly limit that is used up has room again; null for never. */
export function monthlyRetryAt(month: Month, limit: number): Date | null {
  return limit === 0 ? null : resetsAt(month)
}
