import type { Month } from '../month.ts'

/** Calls of one key in one month. */
export interface ApiKeyCount {
  apiKeyId: string
  calls: number
  /** RFC 3339, so that a message survives the way between servers; null before the first call. */
  lastCallAt: string | null
}

/** What servers tell each other about an account. All of it can be read from the database, too. */
export type UsageMessage =
  /** Calls were counted: the totals after it, of the keys that were called. */
  | {
      kind: 'counted'
      month: Month
      account: { calls: number; quota: number | null }
      apiKeys: ApiKeyCount[]
    }
  /** A key was added, removed or changed, or the account's plan was. */
  | { kind: 'changed' }
  /** Something may have been counted that no message tells of: a commit's answer was lost. */
  | { kind: 'uncertain' }

/** Carries hints between servers, at most once each. A lost one costs latency, never a number. */
export interface EventBus {
  publish(topic: string, message: UsageMessage): void
  /** Returns what ends the subscription. */
  subscribe(topic: string, listener: (message: UsageMessage) => void): () => void
}

/** The topic of one account. */
export const accountTopic = (accountId: string) => `account:${accountId}`

/** The topic of what may concern any account. */
export const everyAccountTopic = 'every-account'
