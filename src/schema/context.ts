import type { Clock } from '../clock.ts'
import type { Accounts } from '../domain/accounts.ts'
import type { Catalogue } from '../domain/catalogue.ts'
import type { ApiKeys } from '../domain/keys.ts'
import type { LiveUsage } from '../domain/live-usage/live-usage.ts'
import type { Meter } from '../domain/metering/meter.ts'
import type { OperatorKeys } from '../domain/operator-keys.ts'
import { hasScope, type Principal } from '../domain/principal.ts'
import type { SecretVault } from '../domain/secret-vault.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'

/** What resolvers need. The composition root provides it. */
export interface ResolverServices {
  accounts: Pick<Accounts, 'findOrCreate' | 'save' | 'saveAll' | 'setSuspended' | 'remove'>
  keys: Pick<
    ApiKeys,
    | ('add' | 'remove' | 'setNote' | 'configureAccess' | 'setEnabled' | 'setExpiry' | 'setLimits')
    | ('regenerate' | 'revokePreviousSecret' | 'describe')
  >
  operatorKeys: Pick<OperatorKeys, 'import' | 'reportLeaked'>
  catalogue: Pick<Catalogue, 'savePlan' | 'saveApiCall' | 'removePlan' | 'removeApiCall'>
  meter: Pick<Meter, 'admit'>
  liveUsage: Pick<LiveUsage, 'watch'>
  vault: Pick<SecretVault, 'open'>
  clock: Clock
  prisma: PrismaClient
}

/** What every resolver is given. */
export interface Context extends ResolverServices {
  /** Null where the request carries no token. */
  principal: Principal | null
  /** The account that the token names; null for tokens of operators and gateways. */
  ownAccountId: string | null
}

/**
 * The context of one operation. Not a promise unless it must look up a customer's account, which it creates when the
 * customer's token is first seen: gateways meter without waiting for a microtask.
 */
export function createContext(
  services: ResolverServices,
  principal: Principal | null,
): Context | Promise<Context> {
  if (principal?.accountExternalId === undefined || !usesAccount(principal))
    return contextOf(services, principal, null)
  return services.accounts
    .findOrCreate(principal.accountExternalId)
    .then((ownAccountId) => contextOf(services, principal, ownAccountId))
}

function usesAccount(principal: Principal): boolean {
  return hasScope(principal, 'keys:read') || hasScope(principal, 'keys:write')
}

/** Field by field: every metered call creates a context, and spreading an object costs several times as much. */
function contextOf(
  services: ResolverServices,
  principal: Principal | null,
  ownAccountId: string | null,
): Context {
  const { accounts, keys, operatorKeys, catalogue, meter, liveUsage, vault, clock, prisma } = services
  return {
    accounts,
    keys,
    operatorKeys,
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
