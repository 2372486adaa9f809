import type { Pool } from 'pg'
import type { LiveUsageStore, UsageSnapshot } from '../domain/live-usage/account-hub.ts'
import type { ApiKeyCount } from '../domain/live-usage/event-bus.ts'
import type { CallGroup, Charge, GroupVerdict, UsageStore } from '../domain/metering/usage-store.ts'
import type { Month } from '../domain/month.ts'

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
 * The rows: one a group ('group', in no order), one an account that was met ('account') and one a key ('key').
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
      from unnest($3::bytea[], $4::text[], $5::int[]) with ordinality as asked (digest, api_call, calls, position)
      join api_key on api_key.digest = asked.digest
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
    select 'group' as kind, position, api_key_id, account_id, external_id, quota, access, null::bigint as calls
    from asked
    union all
    select 'charged', null, null, account_id, null, null, null, calls from charged
    union all
    select 'counted', null, api_key_id, null, null, null, null, calls from counted
    union all
    select 'account', null, null, usage.account_id, null, null, null, usage.calls
    from account_usage usage
    where usage.month = $1 and usage.account_id = any (array(
      select account_id from asked where (account_id in (select account_id from charged)) is not true
    ))
    union all
    select 'key', null, usage.api_key_id, null, null, null, null, usage.calls
    from api_key_usage usage
    where usage.month = $1 and usage.api_key_id = any (array(
      select api_key_id from asked where (api_key_id in (select api_key_id from counted)) is not true
    ))`,
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

interface ChargeRow {
  kind: 'group' | 'charged' | 'counted' | 'account' | 'key'
  position: string | null
  api_key_id: string | null
  account_id: string | null
  external_id: string | null
  quota: string | null
  access: 'allowed' | 'denied' | 'unknown API call' | null
  calls: string | null
}

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

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async charge(month: Month, at: Date, groups: readonly CallGroup[]): Promise<Charge> {
    const { rows } = await this.#pool.query<ChargeRow>(chargeStatement, [
      firstDayOf(month),
      at,
      groups.map(({ digest }) => digest),
      groups.map(({ apiCall }) => apiCall),
      groups.map(({ calls }) => calls),
    ])
    return chargeFrom(rows, groups.length)
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

function chargeFrom(rows: readonly ChargeRow[], groupCount: number): Charge {
  const verdicts: GroupVerdict[] = new Array(groupCount).fill(null)
  const accounts: Charge['accounts'] = new Map()
  const apiKeyCalls: Charge['apiKeyCalls'] = new Map()
  for (const { kind, position, api_key_id, account_id, external_id, quota, access, calls } of rows) {
    if (kind === 'group') {
      const [apiKeyId, accountId] = [api_key_id as string, account_id as string]
      verdicts[Number(position) - 1] = { apiKeyId, accountId, access: access as 'allowed' }
      if (!accounts.has(accountId))
        accounts.set(accountId, {
          externalId: external_id as string,
          calls: 0,
          quota: numberOrNull(quota),
          charged: false,
        })
      if (!apiKeyCalls.has(apiKeyId)) apiKeyCalls.set(apiKeyId, 0)
    } else if (account_id !== null) {
      const account = accounts.get(account_id)
      if (account) Object.assign(account, { calls: Number(calls), charged: kind === 'charged' })
    } else if (api_key_id !== null) {
      apiKeyCalls.set(api_key_id, Number(calls))
    }
  }
  return { verdicts, accounts, apiKeyCalls }
}
