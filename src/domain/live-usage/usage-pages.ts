import { fixedLimits } from '../../limits.ts'
import type { Month } from '../month.ts'
import type { ApiKeyCount } from './event-bus.ts'

/** A key's count, and its own monthly limit; null means none. */
export interface LimitedApiKeyCount extends ApiKeyCount {
  limit: number | null
}

/** An account's counts for one month, without its removed keys. */
export interface UsageSnapshot {
  account: { calls: number; quota: number | null }
  /** In the order of their ids. */
  apiKeys: LimitedApiKeyCount[]
}

/** What a commit counted. */
export type Counted = Pick<UsageSnapshot, 'account'> & { apiKeys: ApiKeyCount[] }

/** A part of an account's keys, in the order of their ids. */
export interface KeyPage {
  /** The last key of the page before; null for the first page. */
  after: string | null
  most: number
}

export interface LiveUsageStore {
  /** The counts of a page of keys, as committed now. Keys that were not called in the month have 0. */
  readUsage(accountId: string, month: Month, page: KeyPage): Promise<UsageSnapshot>
}

/** Runs a statement for an account as soon as it may use a database connection. */
export type RunStatement = <T>(accountId: string, run: () => Promise<T>) => Promise<T>

const { rereadPageKeys } = fixedLimits

/**
 * Reads the counts of all of an account's keys, page by page. A key that is added or removed meanwhile may be missing or
 * still there; the message about it arrives after its page was read, and leads to another read.
 */
export async function readAllPages(
  store: LiveUsageStore,
  statement: RunStatement,
  accountId: string,
  month: Month,
): Promise<UsageSnapshot> {
  const apiKeys: LimitedApiKeyCount[] = []
  for (;;) {
    const page = { after: apiKeys.at(-1)?.apiKeyId ?? null, most: rereadPageKeys }
    const usage = await statement(accountId, () => store.readUsage(accountId, month, page))
    apiKeys.push(...usage.apiKeys)
    // Counts only grow, and a changed plan leads to another read: the last page is the newest.
    if (usage.apiKeys.length < page.most) return { account: usage.account, apiKeys }
  }
}
