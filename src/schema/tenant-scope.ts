import { NIL } from 'uuid'
import type { DescribedApiKey } from '../domain/keys.ts'
import { hasScope, type Scope, type TenantScope } from '../domain/principal.ts'
import { NotFoundError } from '../errors.ts'
import type { Context } from './context.ts'
import { idOf } from './global-id.ts'

/** The accounts whose rows the viewer may read and change. */
export function tenantScopeOf({ principal, ownAccountId }: Context): TenantScope {
  if (principal && hasScope(principal, 'admin')) return 'every account'
  return ownAccountId === null ? 'no account' : { accountId: ownAccountId }
}

/** Limits a query to the accounts in scope. */
export function accountsInScope(context: Context): { id?: string } {
  const accountId = accountIdFilter(context)
  return accountId === undefined ? {} : { id: accountId }
}

/**
 * Finds the account with this id, if it is in scope. Flat where that is every account, because Prisma merges lookups by
 * id into one query only then.
 */
export function accountInScope(id: string, context: Context): { id: string; AND?: { id?: string } } {
  const inScope = accountsInScope(context)
  return inScope.id === undefined ? { id } : { id, AND: inScope }
}

/**
 * Limits a query to the keys of the accounts in scope, without removed ones. Flat equality, because Prisma merges
 * lookups by id into one query only then.
 */
export function apiKeysInScope(context: Context): { accountId?: string; removedAt: null } {
  return { ...everApiKeysInScope(context), removedAt: null }
}

/** The same with removed keys, for records that outlive their key. */
export function everApiKeysInScope(context: Context): { accountId?: string } {
  const accountId = accountIdFilter(context)
  return accountId === undefined ? {} : { accountId }
}

/** Whether the viewer may read and change the rows of the account. */
export function isInScope(context: Context, accountId: string): boolean {
  const scope = tenantScopeOf(context)
  return scope === 'every account' || (scope !== 'no account' && scope.accountId === accountId)
}

/** The scope that reading an account's rows requires: outside of the tenant scope, that of operators. */
export function scopeToRead(context: Context, accountId: string): Scope {
  return isInScope(context, accountId) ? 'keys:read' : 'admin'
}

/**
 * What a secret grants to whoever has it and may meter: to read the fields of its key and of its account, and of the
 * account's plan. Pothos passes it on to these objects alone, not to what is below them.
 */
export const grantedBySecret = 'granted by the secret'

/** Limits a query to the key that a secret describes, whatever the tenant scope. Removed in between, it is still read. */
export function describedKeyInScope({ apiKeyId, accountId }: DescribedApiKey): DescribedKeyFilter {
  return { id: apiKeyId, accountId }
}

interface DescribedKeyFilter {
  id: string
  accountId: string
}

/** Limits a query to the account whose key a secret describes. */
export function describedAccountInScope({ accountId }: DescribedApiKey): { id: string } {
  return { id: accountId }
}

/** Limits a query to the plans that the viewer may see: listed ones and its own. Operators see all. */
export function plansInScope(context: Context): PlansInScope {
  const accountId = accountIdFilter(context)
  return accountId === undefined ? {} : { OR: [{ listed: true }, { accounts: { some: { id: accountId } } }] }
}

interface PlansInScope {
  OR?: ({ listed: boolean } | { accounts: { some: { id: string } } })[]
}

/** The account that every row must belong to; undefined for any, and an id that no account has for none. */
function accountIdFilter(context: Context): string | undefined {
  const scope = tenantScopeOf(context)
  if (scope === 'every account') return undefined
  return scope === 'no account' ? NIL : scope.accountId
}

/**
 * The account that an operation is about: the named one if it is in scope, or the viewer's own if none is named.
 * @throws NotFoundError
 */
export function accountIdInScope(context: Context, globalId: string | null | undefined): string {
  const accountId = globalId == null ? context.ownAccountId : idOf('Account', globalId)
  if (accountId === null) throw new NotFoundError('The token names no account. Name one with accountId.')
  if (isInScope(context, accountId)) return accountId
  throw new NotFoundError('There is no account with this id.')
}
