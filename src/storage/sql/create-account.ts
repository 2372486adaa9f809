/**
 * Creates an account together with its first key, if there is one and the plan allows it. Both are committed or neither is. An account
 * that exists is left as it is, even if another server creates it at the same time.
 *
 * Returns one row; `created` is false if the account exists or there is no such plan, `key_created` also if the plan
 * allows no key.
 *
 * $1 id · $2 external id · $3 name · $4 plan's slug · $5 created at · the key's, or null for none: $6 id · $7 digest · $8 sealed secret ·
 * $9 start · $10 note · $11 access mode
 */
export const createAccountStatement = {
  name: 'latchkey-create-account',
  text: `
    with chosen_plan as (
      select id, max_api_keys from plan where slug = $4
    ),
    created as (
      insert into account (id, external_id, name, plan_id, created_at)
      select $1::uuid, $2, $3, chosen_plan.id, $5::timestamptz from chosen_plan
      on conflict (external_id) do nothing
      returning id
    ),
    first_key as (
      insert into api_key (id, account_id, digest, sealed_secret, start, note, access_mode, created_at)
      select $6::uuid, created.id, $7::bytea, $8, $9, $10, $11::api_key_access_mode, $5::timestamptz
      from created, chosen_plan
      where chosen_plan.max_api_keys > 0 and $6 is not null
      returning id
    )
    select exists (select from chosen_plan) as plan_exists, exists (select from created) as created,
      exists (select from first_key) as key_created`,
}

export interface CreateAccountRow {
  plan_exists: boolean
  created: boolean
  key_created: boolean
}
