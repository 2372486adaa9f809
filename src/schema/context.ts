import type { Clock } from '../clock.ts'
import type { Accounts } from '../domain/accounts.ts'
import type { Catalogue } from '../domain/catalogue.ts'
import type { ApiKeys } from '../domain/keys.ts'
import type { LiveUsage } from '../domain/live-usage/live-usage.ts'
import type { Meter } from '../domain/metering/meter.ts'
import { hasScope, type Principal } from '../domain/principal.ts'
import type { SecretVault } from '../domain/secret-vault.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'

/** What resolvers work with; put together once, in app.ts. */
export interface Services {
  accounts: Accounts
  keys: ApiKeys
  catalogue: Catalogue
  meter: Meter
  liveUsage: LiveUsage
  vault: SecretVault
  clock: Clock
  prisma: PrismaClient
}

/** What every resolver is given. */
export interface Context extends Services {
  /** Null where the request carries no token. */
  principal: Principal | null
  /** The account that the token names; null for tokens of operators and gateways. */
  ownAccountId: string | null
}

/** The context of one operation. A customer's account is created here when its token is seen for the first time. */
export async function createContext(services: Services, principal: Principal | null): Promise<Context> {
  return { ...services, principal, ownAccountId: await ownAccountId(services, principal) }
}

async function ownAccountId({ accounts }: Services, principal: Principal | null): Promise<string | null> {
  if (principal?.accountExternalId === undefined) return null
  const usesAccount = hasScope(principal, 'keys:read') || hasScope(principal, 'keys:write')
  return usesAccount ? await accounts.findOrCreate(principal.accountExternalId) : null
}
