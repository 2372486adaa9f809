import type { Access } from '../../src/domain/access.ts'
import type { DecisionCode } from '../../src/domain/metering/decision.ts'
import type { Month } from '../../src/domain/month.ts'

/** What is true of a key, as whoever followed every event knows it. */
export interface ModelKey {
  id: string
  account: ModelAccount
  secret: string
  access: Access
  removed: boolean
  calls: Map<Month, number>
}

export interface ModelAccount {
  id: string
  externalId: string
  maxApiKeys: number
  quota: number
  keys: ModelKey[]
  calls: Map<Month, number>
}

/** What the service must answer and store, held in memory. */
export class Model {
  readonly accounts: ModelAccount[] = []
  /** Secrets that were regenerated away or removed. */
  readonly deadSecrets: string[] = []
  readonly knownApiCalls: ReadonlySet<string>

  constructor(knownApiCalls: Iterable<string>) {
    this.knownApiCalls = new Set(knownApiCalls)
  }

  get livingKeys(): ModelKey[] {
    return this.accounts.flatMap(({ keys }) => keys.filter(({ removed }) => !removed))
  }

  livingKeysOf({ keys }: ModelAccount): ModelKey[] {
    return keys.filter(({ removed }) => !removed)
  }

  keyOf(secret: string): ModelKey | undefined {
    return this.livingKeys.find((key) => key.secret === secret)
  }

  /** What one call must be answered, were it the next; `taken` calls of its account have been admitted before it. */
  decide(secret: string, apiCall: string, month: Month, taken: number): DecisionCode {
    const key = this.keyOf(secret)
    if (!key) return 'KEY_INVALID'
    if (!this.knownApiCalls.has(apiCall)) return 'API_CALL_UNKNOWN'
    if (key.access.mode === 'RESTRICTED' && !key.access.apiCalls.includes(apiCall)) return 'ACCESS_DENIED'
    return (key.account.calls.get(month) ?? 0) + taken < key.account.quota ? 'ADMITTED' : 'QUOTA_EXCEEDED'
  }

  /** Takes in calls that were counted. */
  count(key: ModelKey, month: Month, calls: number): void {
    key.calls.set(month, (key.calls.get(month) ?? 0) + calls)
    key.account.calls.set(month, (key.account.calls.get(month) ?? 0) + calls)
  }
}
