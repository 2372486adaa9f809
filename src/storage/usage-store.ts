import type { Pool } from 'pg'
import type { LiveUsageStore, UsageSnapshot } from '../domain/live-usage/account-hub.ts'
import type { ApiKeyCount } from '../domain/live-usage/event-bus.ts'
import type { CallGroup, Charge, GroupVerdict, UsageStore } from '../domain/metering/usage-store.ts'
import type { Month } from '../domain/month.ts'
import { queryUntil } from './query-until.ts'

/**
 * Judges and counts a batch in one statement, hence in one commit and one round trip.
 *
 * Guarantees, each under READ COMMITTED and with any number of these running at once:
 * - Keys, access lists, plans and the catalogue are as they were committed when the statement began.
 * - An account's calls are counted wholly where they fit in its quota and else not at all: the upsert locks
 *   the account's row and compares with what is then committed.
 * - No deadlock: an account's row is locked before any row of its keys is, and accounts are locked in the
 *   order of their ids.
 * - Linear in the batch: the lists are never joined to each other by value, but looked up in hashed subplans.
 *
 * The answer is one value of JSON, which costs the database and the driver a fraction of as many rows: the
 * groups, what was charged to accounts, and what was counted for keys. The totals of an account or a key that
 * was not charged stand in its groups.
 */
const chargeStatement = {
  name: 'latchkey-charge',
  text: `
    with asked as materialized (
      select position, calls, api_key.id as api_key_id, api_key.account_id, account.external_id,
        plan.monthly_call_quota as quota,
        case
          when api_call.id is null then 'unknown API call'
          when api_key.access_mode = 'FULL' or exists (
            select from api_key_api_call granted
            where granted.api_key_id = api_key.id and granted.api_call_id = api_call.id
          ) then 'allowed'
          else 'denied'
        end as access
      from unnest($4::text[], $5::int[]) with ordinality as asked (api_call, calls, position)
      join api_key on api_key.digest = substring($3::bytea from (position * 32 - 31)::int for 32)
      join account on account.id = api_key.account_id
      join plan on plan.id = account.plan_id
      left join api_call on api_call.name = asked.api_call
    ),
    charged as (
      insert into account_usage as usage (month, account_id, calls, quota)
      select $1::date, account_id, sum(calls), quota
      from asked
      where access = 'allowed' and calls > 0
      group by account_id, quota
      having quota is null or sum(calls) <= quota
      order by account_id
      on conflict (month, account_id) do update
      set calls = usage.calls + excluded.calls, quota = excluded.quota
      where excluded.quota is null or usage.calls + excluded.calls <= excluded.quota
      returning account_id, calls
    ),
    counted as (
      insert into api_key_usage as usage (month, api_key_id, calls, last_call_at)
      select $1::date, api_key_id, sum(calls), $2::timestamptz
      from asked
      where access = 'allowed' and calls > 0 and (account_id in (select account_id from charged)) is true
      group by api_key_id
      order by api_key_id
      on conflict (month, api_key_id) do update
      set calls = usage.calls + excluded.calls, last_call_at = greatest(usage.last_call_at, excluded.last_call_at)
      returning api_key_id, calls
    )
    select json_build_array(
      (select json_agg(json_build_array(position, api_key_id, account_id, external_id, quota, access,
        case when (account_id in (select account_id from charged)) is not true then
          (select calls from account_usage where month = $1 and account_id = asked.account_id) end,
        case when (api_key_id in (select api_key_id from counted)) is not true then
          (select calls from api_key_usage where month = $1 and api_key_id = asked.api_key_id) end
      )) from asked),
      (select json_agg(json_build_array(account_id, calls)) from charged),
      (select json_agg(json_build_array(api_key_id, calls)) from counted)
    ) as charge`,
}

/** The same counts for all of an account's keys, for the first event of a live subscription. */
const snapshotStatement = {
  name: 'latchkey-usage-snapshot',
  text: `
    select api_key.id as api_key_id, coalesce(key_usage.calls, 0) as calls, key_usage.last_call_at,
      coalesce(usage.calls, 0) as account_calls, plan.monthly_call_quota as quota
    from account
    join plan on plan.id = account.plan_id
    left join account_usage usage on usage.month = $2 and usage.account_id = account.id
    left join api_key on api_key.account_id = account.id and api_key.removed_at is null
    left join api_key_usage key_usage on key_usage.month = $2 and key_usage.api_key_id = api_key.id
    where account.id = $1
    order by api_key.id`,
}

type Access = 'allowed' | 'denied' | 'unknown API call'

/** What the statement answers; null stands for an empty list. */
type ChargeAnswer = [
  groups:
    | [
        position: number,
        apiKeyId: string,
        accountId: string,
        externalId: string,
        quota: number | null,
        access: Access,
        accountCalls: number | null,
        apiKeyCalls: number | null,
      ][]
    | null,
  charged: [accountId: string, calls: number][] | null,
  counted: [apiKeyId: string, calls: number][] | null,
]

interface SnapshotRow {
  api_key_id: string | null
  calls: string
  last_call_at: Date | null
  account_calls: string
  quota: string | null
}

const numberOrNull = (bigint: string | null) => (bigint === null ? null : Number(bigint))
const firstDayOf = (month: Month) => `${month}-01`

/** Counts, written and read by hand: what makes Latchkey fast is in these two statements. */
export class SqlUsageStore implements UsageStore, LiveUsageStore {
  readonly #pool: Pool
  readonly #meteringPool: Pool

  /** Counts are read over the one, and written over the other. */
  constructor(pool: Pool, meteringPool: Pool) {
    this.#pool = pool
    this.#meteringPool = meteringPool
  }

  async charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge> {
    const values = [
      firstDayOf(month),
      at.toISOString(),
      // One after the other: an array of them would be written in hexadecimal.
      Buffer.concat(groups.map(({ digest }) => digest)),
      groups.map(({ apiCall }) => apiCall),
      groups.map(({ calls }) => calls),
    ]
    const { rows } = await queryUntil<{ charge: ChargeAnswer }>(
      this.#meteringPool,
      timeUp,
      chargeStatement,
      values,
    )
    return chargeFrom(rows[0]?.charge ?? [null, null, null], groups.length)
  }

  async readUsage(accountId: string, month: Month): Promise<UsageSnapshot> {
    const { rows } = await this.#pool.query<SnapshotRow>(snapshotStatement, [accountId, firstDayOf(month)])
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

function chargeFrom([groups, charged, counted]: ChargeAnswer, groupCount: number): Charge {
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
