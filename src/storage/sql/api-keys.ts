/**
 * Adds a key within its account's plan and the limit on additions per hour, exactly, however many servers add keys at the same time. The function is
 * defined in a migration, which says why it is one.
 *
 * $1 account · $2 id · $3 digest · $4 sealed secret · $5 start · $6 note · $7 access mode · $8 names of API calls ·
 * $9 added at · $10 most additions per hour, or null for no limit
 */
export const addApiKeyStatement = {
  name: 'latchkey-add-api-key',
  text: 'select * from latchkey_add_api_key_within_rate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
}

export type AddApiKeyRow =
  | { outcome: 'added' }
  | { outcome: 'no account' }
  | { outcome: 'limit reached'; key_limit: number; limiting_plan: string }
  | { outcome: 'too many additions'; next_addition_at: Date }
  /** Positions in the list of names, from 1. */
  | { outcome: 'unknown API calls'; unknown_positions: number[] }

/**
 * Replaces a key's access. Two changes at once leave one or the other, never a mixture.
 *
 * $1 id · $2 account it must belong to, or null for any · $3 access mode · $4 names of API calls
 */
export const setApiKeyAccessStatement = {
  name: 'latchkey-set-api-key-access',
  text: 'select * from latchkey_set_api_key_access($1, $2, $3, $4)',
}

export type SetApiKeyAccessRow =
  | { outcome: 'set'; of_account: string }
  | { outcome: 'no key' }
  | { outcome: 'unknown API calls'; unknown_positions: number[] }
