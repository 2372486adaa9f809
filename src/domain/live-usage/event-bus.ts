import type { Month } from '../month.ts'

/** Calls of one key in one month. */
export interface ApiKeyCount {
  apiKeyId: string
  calls: number
  /** RFC 3339, as it is sent between servers; null before the first call. */
  lastCallAt: string | null
}

/** What happened to an account's usage. All of it can also be read from the database. */
export type UsageMessage =
  /** Calls were counted: the totals after the commit, for the keys that were called. */
  | {
      kind: 'counted'
      month: Month
      account: { calls: number; quota: number | null }
      apiKeys: ApiKeyCount[]
    }
  /** A key was added, removed or changed, or the account's plan was. */
  | { kind: 'changed' }
  /** Calls may have been counted that no message reports, for instance because a commit's answer was lost. */
  | { kind: 'in doubt' }

/**
 * Connects this server to the others. Messages are hints, delivered at most once; losing one delays a count and never
 * falsifies it. Nothing comes back to the server that published it.
 */
export interface EventBus {
  publish(topic: string, message: UsageMessage): void
  /**
   * Calls `listener` with what other servers publish. The bus itself sends `in doubt` whenever messages may have been
   * missed, including before the subscription took effect. Returns what ends the subscription.
   */
  subscribe(topic: string, listener: (message: UsageMessage) => void): () => void
}

/** The topic of one account. */
export const accountTopic = (accountId: string) => `account:${accountId}`

/** The topic of what may concern any account. */
export const everyAccountTopic = 'every-account'
