import type { Access } from '../../src/domain/access.ts'
import type { DecisionCode } from '../../src/domain/metering/decision.ts'
import type { Month } from '../../src/domain/month.ts'

/** The expected state of a key after all events so far. */
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

/** What the service must answer and store, kept in memory. */
export class Model {
  readonly accounts: ModelAccount[] = []
  /** Secrets of regenerated and removed keys. */
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

  /** The answer that a call must get if it is the next one after `taken` admitted calls of its account. */
  decide(secret: string, apiCall: string, month: Month, taken: number): DecisionCode {
    const key = this.keyOf(secret)
    if (!key) return 'KEY_INVALID'
    if (!this.knownApiCalls.has(apiCall)) return 'API_CALL_UNKNOWN'
    if (key.access.mode === 'RESTRICTED' && !key.access.apiCalls.includes(apiCall)) return 'ACCESS_DENIED'
    return (key.account.calls.get(month) ?? 0) + taken < key.account.quota ? 'ADMITTED' : 'QUOTA_EXCEEDED'
  }

  /** Adds calls that were counted. */
  count(key: ModelKey, month: Month, calls: number): void {
    key.calls.set(month, (key.calls.get(month) ?? 0) + calls)
    key.account.calls.set(month, (key.account.calls.get(month) ?? 0) + calls)
  }
}
