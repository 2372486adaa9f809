/**
 * Imports keys, all or none, exactly, however many servers import the same ones at the same time. The function is
 * defined in a migration, which describes its argument and its result.
 *
 * $1 the keys as JSON · $2 now
 */
export const importApiKeysStatement = {
  name: 'latchkey-import-api-keys',
  text: 'select * from latchkey_import_api_keys($1, $2)',
}

export interface ImportApiKeysRow {
  /** The positions of keys and API calls are from 0 and from 1. Null if all keys were imported. */
  problems:
    | [
        position: number,
        problem: 'no account' | 'other account' | 'other key' | 'expired' | 'unknown API call',
        apiCall: number | null,
      ][]
    | null
  keys: string[]
  accounts: string[]
  added: number
}

/**
 * Disables the keys that have these secrets, or had them before the last re-generation if they still work. The keys are
 * locked in the order of their ids, and judged as they are then.
 *
 * $1 digests · $2 now
 */
export const disableLeakedStatement = {
  name: 'latchkey-disable-leaked',
  text: `
    with found as (
      select api_key.id
      from unnest($1::bytea[]) as leaked (digest)
      join api_key on api_key.digest = leaked.digest
        or (api_key.previous_digest = leaked.digest and api_key.previous_secret_expires_at > $2)
      order by api_key.id
      for no key update of api_key
    )
    update api_key set enabled = false, leaked_at = coalesce(leaked_at, $2::timestamptz)
    from (select distinct id from found) leaked
    where api_key.id = leaked.id
    returning api_key.id, api_key.account_id`,
}

export interface DisableLeakedRow {
  id: string
  account_id: string
}
