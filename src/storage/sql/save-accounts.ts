/**
 * Creates accounts, each with its first key if its plan allows one, and renames those that exist and changes their
 * plans. All or none: if one names an unknown plan, nothing is saved. Rows are locked in the order of their external
 * ids, so that two of these at once do not deadlock.
 *
 * Returns one row for each account, in the order given. `id` is null if nothing was saved, and `plan_exists` says whose
 * plan is at fault. `created` says whether the account is new, `key_created` whether it has a first key.
 *
 * $1 ids · $2 external ids, each once · $3 names · $4 plans' slugs · $5 created at · the first keys': $6 ids · $7 digests ·
 * $8 sealed secrets · $9 starts
 */
export const saveAccountsStatement = {
  name: 'latchkey-save-accounts',
  text: `
    with asked as materialized (
      select asked.*, plan.id as plan_id, plan.max_api_keys
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $6::uuid[], $7::bytea[], $8::text[], $9::text[])
        with ordinality as asked (id, external_id, name, plan, key_id, digest, sealed_secret, start, position)
      left join plan on plan.slug = asked.plan
    ),
    saved as (
      insert into account (id, external_id, name, plan_id, created_at)
      select id, external_id, name, plan_id, $5::timestamptz from asked
      where not exists (select from asked where plan_id is null)
      order by external_id
      on conflict (external_id) do update set name = excluded.name, plan_id = excluded.plan_id
      returning id, external_id
    ),
    first_key as (
      insert into api_key (id, account_id, digest, sealed_secret, start, access_mode, created_at)
      select key_id, asked.id, digest, sealed_secret, start, 'FULL', $5::timestamptz
      from asked
      where max_api_keys > 0 and id in (select id from saved)
      returning account_id
    )
    select saved.id, plan_id is not null as plan_exists, saved.id = asked.id as created,
      asked.id in (select account_id from first_key) as key_created
    from asked left join saved using (external_id)
    order by position`,
}

export interface SaveAccountsRow {
  id: string | null
  plan_exists: boolean
  created: boolean | null
  key_created: boolean
}
