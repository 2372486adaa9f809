import type { Clock } from '../clock.ts'
import type { Accounts } from '../domain/accounts.ts'
import type { Catalogue } from '../domain/catalogue.ts'
import type { ApiKeys } from '../domain/keys.ts'
import type { LiveUsage } from '../domain/live-usage/live-usage.ts'
import type { Meter } from '../domain/metering/meter.ts'
import { hasScope, type Principal } from '../domain/principal.ts'
import type { SecretVault } from '../domain/secret-vault.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { boundClient } from './bound-client.ts'
import { Loaders } from './loaders.ts'
import type { Share } from './share.ts'

/** What resolvers need. The composition root provides it. */
export interface ResolverServices {
  accounts: Pick<Accounts, 'findOrCreate' | 'save'>
  keys: Pick<ApiKeys, 'add' | 'regenerate' | 'setNote' | 'configureAccess' | 'remove'>
  catalogue: Pick<Catalogue, 'savePlan' | 'saveApiCall'>
  meter: Pick<Meter, 'admit'>
  liveUsage: Pick<LiveUsage, 'watch'>
  vault: Pick<SecretVault, 'open'>
  clock: Clock
  prisma: PrismaClient
}

/** What every resolver is given. `prisma` and `loaders` wait for the viewer's share of the database connections. */
export interface Context extends ResolverServices {
  /** Null where the request carries no token. */
  principal: Principal | null
  /** The account that the token names; null for tokens of operators and gateways. */
  ownAccountId: string | null
  share: Share
  loaders: Loaders
}

/**
 * The context of one operation. Not a promise unless it must look up a customer's account, which it creates when the
 * customer's token is first seen: metering needs no account, and does not wait for a microtask.
 */
export function createContext(
  services: ResolverServices,
  principal: Principal | null,
  share: Share,
  onlyMeters = false,
): Context | Promise<Context> {
  const externalId = principal?.accountExternalId
  if (onlyMeters || principal === null || externalId === undefined || !usesAccount(principal))
    return new OperationContext(services, principal, null, share)
  return share
    .statement(() => services.accounts.findOrCreate(externalId))
    .then((ownAccountId) => new OperationContext(services, principal, ownAccountId, share))
}

function usesAccount(principal: Principal): boolean {
  return hasScope(principal, 'keys:read') || hasScope(principal, 'keys:write')
}

/** Field by field: every metered call creates a context, and spreading an object costs several times as much. */
class OperationContext implements Context {
  readonly accounts: Context['accounts']
  readonly keys: Context['keys']
  readonly catalogue: Context['catalogue']
  readonly meter: Context['meter']
  readonly liveUsage: Context['liveUsage']
  readonly vault: Context['vault']
  readonly clock: Clock
  readonly principal: Principal | null
  readonly ownAccountId: string | null
  readonly share: Share
  readonly #prisma: PrismaClient
  #bound: PrismaClient | undefined
  #loaders: Loaders | undefined

  constructor(
    { accounts, keys, catalogue, meter, liveUsage, vault, clock, prisma }: ResolverServices,
    principal: Principal | null,
    ownAccountId: string | null,
    share: Share,
  ) {
    this.accounts = accounts
    this.keys = keys
    this.catalogue = catalogue
    this.meter = meter
    this.liveUsage = liveUsage
    this.vault = vault
    this.clock = clock
    this.principal = principal
    this.ownAccountId = ownAccountId
    this.share = share
    this.#prisma = prisma
  }

  get prisma(): PrismaClient {
    this.#bound ??= boundClient(this.#prisma, this.share)
    return this.#bound
  }

  get loaders(): Loaders {
    this.#loaders ??= new Loaders(this.prisma)
    return this.#loaders
  }
}
