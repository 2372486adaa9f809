/**
 * Adds a key within its account's plan and the limit on additions per hour, exactly, however many servers add keys at
 * the same time. The function is defined in a migration, which says why it is one.
 *
 * $1 account · $2 id · $3 digest · $4 sealed secret · $5 start · $6 note · $7 access mode · $8 names of API calls ·
 * $9 added at · $10 most additions per hour, or null for no limit · $11 expires at · $12 monthly call limit · its rate:
 * $13 calls, $14 seconds · $15 networks · its resources: $16 types, $17 ids, empty for all of the type
 */
export const addApiKeyStatement = {
  name: 'latchkey-add-restricted-api-key',
  text: `select * from latchkey_add_restricted_api_key(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
}

export type AddApiKeyRow =
  | { outcome: 'added' }
  | { outcome: 'no account' }
  | { outcome: 'limit reached'; key_limit: number; limiting_plan: string }
  | { outcome: 'too many additions'; next_addition_at: Date }
  /** Positions in the list of names, from 1. */
  | { outcome: 'unknown API calls'; unknown_positions: number[] }

/**
 * Replaces a key's access, and the restrictions that are not null. Two changes at once leave one or the other, never a
 * mixture.
 *
 * $1 id · $2 account it must belong to, or null for any · $3 access mode · $4 names of API calls · $5 networks · its
 * resources: $6 types, $7 ids, empty for all of the type
 */
export const setApiKeyAccessStatement = {
  name: 'latchkey-configure-api-key-access',
  text: 'select * from latchkey_configure_api_key_access($1, $2, $3, $4, $5, $6, $7)',
}

export type SetApiKeyAccessRow =
  | { outcome: 'set'; of_account: string }
  | { outcome: 'no key' }
  | { outcome: 'unknown API calls'; unknown_positions: number[] }

/**
 * Replaces a key's secret. Of two replacements at once, the second keeps the secret of the first during its overlap.
 *
 * $1 id · $2 account it must belong to, or null for any · $3 digest · $4 sealed secret · $5 start · $6 at · $7 until
 * when the replaced secret works, or null
 */
export const regenerateApiKeyStatement = {
  name: 'latchkey-regenerate-api-key',
  text: 'select * from latchkey_regenerate_api_key($1, $2, $3, $4, $5, $6, $7)',
}

export type RegenerateApiKeyRow =
  | { outcome: 'regenerated'; of_account: string }
  | { outcome: 'no key' }
  | { outcome: 'beyond expiry'; key_expires_at: Date }

/**
 * Sets when a key expires. Returns its account, or no row if there is no such key. A previous secret works no longer
 * than the key.
 *
 * $1 id · $2 account it must belong to, or null for any · $3 expires at
 */
export const setApiKeyExpiryStatement = {
  name: 'latchkey-set-api-key-expiry',
  text: `
    update api_key
    set expires_at = $3::timestamptz,
      previous_secret_expires_at =
        case when previous_secret_expires_at > $3 then $3 else previous_secret_expires_at end
    where id = $1 and removed_at is null and ($2::uuid is null or account_id = $2)
    returning account_id as of_account`,
}

export interface SetApiKeyExpiryRow {
  of_account: string
}

/**
 * The key that has a secret, or had it before its last re-generation if that still works. The digests of removed keys
 * are null.
 *
 * $1 digest · $2 the instant
 */
export const findApiKeyStatement = {
  name: 'latchkey-find-api-key',
  text: `
    with found as (
      select id, account_id, false as previous_secret, enabled, expires_at
      from api_key
      where digest = $1
      union all
      select id, account_id, true, enabled, expires_at
      from api_key
      where previous_digest = $1 and previous_secret_expires_at > $2 and removed_at is null
      limit 1
    )
    select found.id as of_key, account_id as of_account, previous_secret, enabled, expires_at, account.suspended
    from found
    join account on account.id = found.account_id`,
}

export interface FindApiKeyRow {
  of_key: string
  of_account: string
  previous_secret: boolean
  enabled: boolean
  expires_at: Date | null
  suspended: boolean
}
