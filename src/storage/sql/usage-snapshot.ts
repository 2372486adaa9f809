/**
 * An account's counts for one month, one row per key that is not removed; a single row without a key if there is none.
 * All are of one snapshot of the database. Keys that were not called have 0. The index of the keys that are not removed
 * yields a page without sorting.
 *
 * $1 the account · $2 the month's first day · $3 the last key of the page before, or null · $4 the most keys
 */
export const snapshotStatement = {
  name: 'latchkey-usage-snapshot',
  text: `
    select api_key.id as api_key_id, coalesce(key_usage.calls, 0) as calls, key_usage.last_call_at,
      api_key.monthly_call_limit as key_limit,
      coalesce(usage.calls, 0) as account_calls, plan.monthly_call_quota as quota
    from account
    join plan on plan.id = account.plan_id
    left join account_usage usage on usage.month = $2 and usage.account_id = account.id
    left join lateral (
      select id, monthly_call_limit from api_key
      where account_id = account.id and removed_at is null
        and id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
      order by id limit $4
    ) api_key on true
    left join api_key_usage key_usage on key_usage.month = $2 and key_usage.api_key_id = api_key.id
    where account.id = $1
    order by api_key.id`,
}

export interface UsageSnapshotRow {
  api_key_id: string | null
  calls: string
  last_call_at: Date | null
  key_limit: string | null
  account_calls: string
  quota: string | null
}
