/** What a token allows; `admin` allows everything, on any account. */
export const scopes = ['keys:read', 'keys:write', 'keys:reveal', 'calls:meter', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** Who a verified token speaks for. */
export interface Principal {
  subject: string
  /** As in the token, unknown ones included. */
  scopes: readonly string[]
  /** The customer's external id, for a customer's token. */
  accountExternalId?: string
  /** When the token expires. */
  expiresAt: Date
}

/** The accounts whose rows an action may touch: one account, all of them (operators), or none. */
export type TenantScope = { accountId: string } | 'every account' | 'no account'

/** True if the principal's token has the scope, or `admin`. */
export function hasScope(principal: Principal, scope: Scope): boolean {
  return principal.scopes.includes(scope) || principal.scopes.includes('admin')
}
