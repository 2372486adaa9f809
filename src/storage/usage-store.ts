import type { Pool } from 'pg'
import type { ApiKeyCount } from '../domain/live-usage/event-bus.ts'
import type { KeyPage, LiveUsageStore, UsageSnapshot } from '../domain/live-usage/usage-pages.ts'
import type { CallGroup, Charge, GroupVerdict, UsageStore } from '../domain/metering/usage-store.ts'
import type { Month } from '../domain/month.ts'
import { queryUntil } from './query-until.ts'
import { type ChargeResult, chargeStatement } from './sql/charge.ts'
import { snapshotStatement, type UsageSnapshotRow } from './sql/usage-snapshot.ts'

const numberOrNull = (bigint: string | null) => (bigint === null ? null : Number(bigint))
const firstDayOf = (month: Month) => `${month}-01`

/** Usage counts in PostgreSQL, by hand-written SQL: these two statements decide how fast Latchkey is. */
export class SqlUsageStore implements UsageStore, LiveUsageStore {
  readonly #pool: Pool
  readonly #meteringPool: Pool

  /** Reads use `pool`, charges use `meteringPool`. */
  constructor(pool: Pool, meteringPool: Pool) {
    this.#pool = pool
    this.#meteringPool = meteringPool
  }

  async charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge> {
    const values = [
      firstDayOf(month),
      at.toISOString(),
      // Concatenated, because pg encodes an array of buffers in hexadecimal.
      Buffer.concat(groups.map(({ digest }) => digest)),
      groups.map(({ apiCall }) => apiCall),
      groups.map(({ calls }) => calls),
    ]
    const { rows } = await queryUntil<{ charge: ChargeResult }>(
      this.#meteringPool,
      timeUp,
      chargeStatement,
      values,
    )
    return chargeFrom(rows[0]?.charge ?? [null, null, null], groups.length)
  }

  async readUsage(accountId: string, month: Month, { after, most }: KeyPage): Promise<UsageSnapshot> {
    const { rows } = await this.#pool.query<UsageSnapshotRow>(snapshotStatement, [
      accountId,
      firstDayOf(month),
      after,
      most,
    ])
    const apiKeys: ApiKeyCount[] = []
    for (const { api_key_id, calls, last_call_at } of rows) {
      if (api_key_id === null) continue
      apiKeys.push({
        apiKeyId: api_key_id,
        calls: Number(calls),
        lastCallAt: last_call_at?.toISOString() ?? null,
      })
    }
    return {
      account: { calls: Number(rows[0]?.account_calls ?? 0), quota: numberOrNull(rows[0]?.quota ?? null) },
      apiKeys,
    }
  }
}

function chargeFrom([groups, charged, counted]: ChargeResult, groupCount: number): Charge {
  const verdicts: GroupVerdict[] = new Array(groupCount).fill(null)
  const accounts: Charge['accounts'] = new Map()
  const apiKeyCalls: Charge['apiKeyCalls'] = new Map(counted)
  for (const [position, apiKeyId, accountId, externalId, quota, access, accountCalls, keyCalls] of groups ??
    []) {
    verdicts[position - 1] = { apiKeyId, accountId, access }
    if (!accounts.has(accountId))
      accounts.set(accountId, { externalId, calls: accountCalls ?? 0, quota, charged: false })
    if (!apiKeyCalls.has(apiKeyId)) apiKeyCalls.set(apiKeyId, keyCalls ?? 0)
  }
  for (const [accountId, calls] of charged ?? []) {
    const account = accounts.get(accountId)
    if (account) Object.assign(account, { calls, charged: true })
  }
  return { verdicts, accounts, apiKeyCalls }
}
