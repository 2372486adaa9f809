import type { Verdict } from '../../domain/metering/usage-store.ts'

/**
 * Judges and charges a batch in one statement, hence in one round trip and one commit.
 *
 * Guarantees, under READ COMMITTED and with any number of these running at once:
 * - Keys, access lists, plans and the catalogue are as committed when the statement began.
 * - An account's calls are charged all together if they fit every limit, else not at all. If the only limits are
 *   quotas, the upsert locks the account's row and compares with what is committed by then. Otherwise this statement
 *   only judges, and a function in the migrations charges the batch.
 * - No deadlock: an account's row is locked before those of its keys, and accounts are locked in the order of their ids.
 * - Linear in the batch: the lists are never joined to each other, but looked up in hashed subplans.
 *
 * The result is one JSON value, which costs the database and the driver a fraction of as many rows: the groups, the
 * charged accounts and the charged keys, and from the function also the buckets and the resources that keys may touch.
 * The totals of accounts and keys that were not charged are in the groups.
 *
 * $1 the month's first day · $2 the instant of the calls · $3 the digests, 32 bytes each · $4 the API calls ·
 * $5 the number of calls · $6 client addresses · $7 resource types · $8 resource ids · $9 request ids; $6 to $9 are null
 * where no group has one, and so are their elements
 */
export const chargeStatement = {
  name: 'latchkey-charge',
  text: `
    with asked as materialized (
      select * from latchkey_judge($2::timestamptz, $3::bytea, $4::text[], $5::int[], $6::text[], $7::text[],
        $8::text[], $9::text[])
    ),
    limited as materialized (
      select array_agg(distinct account_id) as accounts
      from asked
      where verdict = 'allowed' and (request_id is not null or key_limit is not null
        or coalesce(key_rate_calls, call_rate_calls, plan_rate_calls) is not null or flags & 2 > 0)
    ),
    charged as (
      insert into account_usage as usage (month, account_id, calls, quota)
      select $1::date, account_id, sum(calls), quota
      from asked
      where verdict = 'allowed' and calls > 0 and (select accounts is null from limited)
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
      where verdict = 'allowed' and calls > 0 and (account_id in (select account_id from charged)) is true
      group by api_key_id
      order by api_key_id
      on conflict (month, api_key_id) do update
      set calls = usage.calls + excluded.calls, last_call_at = greatest(usage.last_call_at, excluded.last_call_at)
      returning api_key_id, calls
    )
    select case when accounts is null then json_build_array(
      (select json_agg(json_build_array(position, api_key_id, account_id, external_id, quota, verdict, flags,
        case when (account_id in (select account_id from charged)) is not true then
          (select calls from account_usage where month = $1 and account_id = asked.account_id) end,
        case when (api_key_id in (select api_key_id from counted)) is not true then
          (select calls from api_key_usage where month = $1 and api_key_id = asked.api_key_id) end
      )) from asked),
      (select json_agg(json_build_array(account_id, calls)) from charged),
      (select json_agg(json_build_array(api_key_id, calls)) from counted)
    ) else latchkey_charge_limited($1::date, $2::timestamptz,
      (select array_agg(asked::latchkey_judged) from asked), accounts) end as charge
    from limited`,
}

/** The bits of a group's flags. */
export const keyFlags = { previousSecret: 1, resources: 2, networks: 4 }

/** The statement's result; null stands for an empty list. */
export type ChargeResult = [
  groups:
    | [
        position: number,
        apiKeyId: string,
        accountId: string,
        externalId: string,
        quota: number | null,
        verdict: Verdict,
        flags: number,
        accountCalls: number | null,
        apiKeyCalls: number | null,
        apiKeyLimit?: number | null,
        limitedApiCallId?: string | null,
      ][]
    | null,
  charged: [accountId: string, calls: number][] | null,
  counted: [apiKeyId: string, calls: number][] | null,
  buckets?:
    | [
        accountId: string,
        subjectId: string,
        calls: number,
        perSeconds: number,
        room: number,
        fullInMs: number,
        roomInMs: number,
      ][]
    | null,
  resources?: [apiKeyId: string, type: string, ids: string[]][] | null,
]
