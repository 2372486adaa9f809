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
import { boundClient } from './bound-client.ts'
import { Loaders } from './loaders.ts'
import type { Share } from './share.ts'

/** What resolvers need. The composition root provides it. */
export interface ResolverServices {
  accounts: Pick<Accounts, 'idOf' | 'findOrCreate' | 'save' | 'saveAll' | 'setSuspended' | 'remove'>
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
  const known = services.accounts.idOf(externalId)
  if (known !== undefined) return new OperationContext(services, principal, known, share)
  return (
    share
      // Another operation may have found it while this one waited.
      .statement(async () => services.accounts.idOf(externalId) ?? services.accounts.findOrCreate(externalId))
      .then((ownAccountId) => new OperationContext(services, principal, ownAccountId, share))
  )
}

function usesAccount(principal: Principal): boolean {
  return hasScope(principal, 'keys:read') || hasScope(principal, 'keys:write')
}

/** Field by field: every metered call creates a context, and spreading an object costs several times as much. */
class OperationContext implements Context {
  readonly accounts: Context['accounts']
  readonly keys: Context['keys']
  readonly operatorKeys: Context['operatorKeys']
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
    services: ResolverServices,
    principal: Principal | null,
    ownAccountId: string | null,
    share: Share,
  ) {
    this.accounts = services.accounts
    this.keys = services.keys
    this.operatorKeys = services.operatorKeys
    this.catalogue = services.catalogue
    this.meter = services.meter
    this.liveUsage = services.liveUsage
    this.vault = services.vault
    this.clock = services.clock
    this.principal = principal
    this.ownAccountId = ownAccountId
    this.share = share
    this.#prisma = services.prisma
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
