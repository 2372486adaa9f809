/**
 * Finds the API call, other than the named one, that a method and path belong to. The names of parameters are ignored,
 * as by the index that makes this unique.
 *
 * $1 name · $2 method · $3 path
 */
export const routeHolderStatement = {
  name: 'latchkey-route-holder',
  text: `
    select name from api_call
    where method = $2 and regexp_replace(path, '/:[^/]+', '/:', 'g') = regexp_replace($3, '/:[^/]+', '/:', 'g')
      and name <> $1`,
}

/** Removes a plan that no account is on. $1 slug · $2 how many accounts to name */
export const removePlanStatement = {
  name: 'latchkey-remove-plan',
  text: 'select * from latchkey_remove_plan($1, $2)',
}

/** Removes an API call that no key is restricted to. $1 name · $2 how many keys to name */
export const removeApiCallStatement = {
  name: 'latchkey-remove-api-call',
  text: 'select * from latchkey_remove_api_call($1, $2)',
}

export interface RemovalRow {
  outcome: 'removed' | 'not found' | 'in use'
  removed: string
  /** One more than asked for, if there are others. */
  users: string[]
}
