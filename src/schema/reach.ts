import { hasScope, type Reach } from '../domain/principal.ts'
import { NotFoundError } from '../errors.ts'
import type { Prisma } from '../generated/prisma/client.ts'
import type { Context } from './context.ts'
import { idOf } from './global-id.ts'

/** Which accounts the viewer may see and change. Everything that reads or writes rows of accounts goes by it. */
export function reachOf({ principal, ownAccountId }: Context): Reach {
  if (principal && hasScope(principal, 'admin')) return 'every account'
  return ownAccountId === null ? 'no account' : { accountId: ownAccountId }
}

/** The accounts within reach, as the `where` of a query. */
export function reachableAccounts(context: Context): Prisma.AccountWhereInput {
  const reach = reachOf(context)
  if (reach === 'every account') return {}
  return reach === 'no account' ? { id: { in: [] } } : { id: { in: [reach.accountId] } }
}

/** The keys within reach that have not been removed, as the `where` of a query. */
export function reachableApiKeys(context: Context): Prisma.ApiKeyWhereInput {
  return { removedAt: null, account: reachableAccounts(context) }
}

/**
 * The account that an operation is about: the one named, if it is within reach, else the viewer's own.
 * @throws NotFoundError
 */
export function accountIdWithinReach(context: Context, globalId: string | null | undefined): string {
  const reach = reachOf(context)
  const accountId = globalId == null ? context.ownAccountId : idOf('Account', globalId)
  if (accountId === null) throw new NotFoundError('The token names no account. Name one with accountId.')
  if (reach === 'every account' || (reach !== 'no account' && reach.accountId === accountId)) return accountId
  throw new NotFoundError('There is no account with this id.')
}
