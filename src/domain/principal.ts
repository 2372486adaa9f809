/** What a token allows; `admin` is everything, on any account. */
export const scopes = ['keys:read', 'keys:write', 'keys:reveal', 'calls:meter', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** Who a checked token speaks for. */
export interface Principal {
  subject: string
  /** As the token has them, unknown ones included. */
  scopes: readonly string[]
  /** The customer's external id, for a customer's token. */
  accountExternalId?: string
  /** When the token stops being good; left out for one that never does. */
  expiresAt?: Date
}

/** Which accounts' rows an action may touch: one account's, (operators) all, or none. */
export type Reach = { accountId: string } | 'every account' | 'no account'

/** True where the principal's token has the scope, or `admin`. */
export function hasScope(principal: Principal, scope: Scope): boolean {
  return principal.scopes.includes(scope) || principal.scopes.includes('admin')
}
