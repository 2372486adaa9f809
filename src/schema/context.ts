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

/**
 * The context of one operation; at once where there is nothing to be waited for, as for gateways. A customer's
 * account is created here when its token is seen for the first time.
 */
export function createContext(services: Services, principal: Principal | null): Context | Promise<Context> {
  if (principal?.accountExternalId === undefined || !usesAccount(principal))
    return contextOf(services, principal, null)
  return services.accounts
    .findOrCreate(principal.accountExternalId)
    .then((ownAccountId) => contextOf(services, principal, ownAccountId))
}

function usesAccount(principal: Principal): boolean {
  return hasScope(principal, 'keys:read') || hasScope(principal, 'keys:write')
}

/** Field by field: there is one of these for every metered call, and to spread an object costs several times as much. */
function contextOf(services: Services, principal: Principal | null, ownAccountId: string | null): Context {
  const { accounts, keys, catalogue, meter, liveUsage, vault, clock, prisma } = services
  return {
    accounts,
    keys,
    catalogue,
    meter,
    liveUsage,
    vault,
    clock,
    prisma,
    principal,
    ownAccountId,
  }
}
