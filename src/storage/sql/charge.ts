/**
 * Judges and charges a batch in one statement, hence in one round trip and one commit.
 *
 * Guarantees, under READ COMMITTED and with any number of these running at once:
 * - Keys, access lists, plans and the catalogue are as committed when the statement began.
 * - An account's calls are charged all together if they fit its quota, else not at all: the upsert locks the account's
 *   row and compares with what is committed by then.
 * - No deadlock: an account's row is locked before those of its keys, and accounts are locked in the order of their ids.
 * - Linear in the batch: the lists are never joined to each other, but looked up in hashed subplans.
 *
 * The result is one JSON value, which costs the database and the driver a fraction of as many rows: the groups, the
 * charged accounts and the charged keys. The totals of accounts and keys that were not charged are in the groups.
 *
 * $1 the month's first day · $2 the instant of the calls · $3 the digests, 32 bytes each · $4 the API calls ·
 * $5 the number of calls
 */
export const chargeStatement = {
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

/** The statement's result; null stands for an empty list. */
export type ChargeResult = [
  groups:
    | [
        position: number,
        apiKeyId: string,
        accountId: string,
        externalId: string,
        quota: number | null,
        access: 'allowed' | 'denied' | 'unknown API call',
        accountCalls: number | null,
        apiKeyCalls: number | null,
      ][]
    | null,
  charged: [accountId: string, calls: number][] | null,
  counted: [apiKeyId: string, calls: number][] | null,
]
