import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { Accounts } from './domain/accounts.ts'
import { Catalogue } from './domain/catalogue.ts'
import { ApiKeys } from './domain/keys.ts'
import { LiveUsage } from './domain/live-usage/live-usage.ts'
import type { LiveUsageStore } from './domain/live-usage/usage-pages.ts'
import { Meter } from './domain/metering/meter.ts'
import type { UsageStore } from './domain/metering/usage-store.ts'
import { SecretVault } from './domain/secret-vault.ts'
import type { PrismaClient } from './generated/prisma/client.ts'
import { fixedLimits } from './limits.ts'
import type { Logger } from './log.ts'
import { RedisEventBus } from './messaging/redis-event-bus.ts'
import { FairShare } from './overload/fair-share.ts'
import { defaultCatalogue } from './paths.ts'
import { SqlAccountStore } from './storage/account-store.ts'
import type { Database, DatabaseServer } from './storage/database.ts'
import { SqlApiKeyStore } from './storage/key-store.ts'
import { migrate } from './storage/migrate.ts'
import { seedCatalogue, UnknownDefaultPlanError } from './storage/seed.ts'
import { SqlUsageStore } from './storage/usage-store.ts'

/** Everything below the transports, put together. */
export interface Services {
  accounts: Accounts
  keys: ApiKeys
  catalogue: Catalogue
  meter: Meter
  liveUsage: LiveUsage
  vault: SecretVault
  clock: Clock
  prisma: PrismaClient
  fairShare: FairShare
}

/** The database server that the settings name; undefined for the embedded database. */
export function databaseServerOf(config: Config): DatabaseServer | undefined {
  if (config.databaseUrl === undefined) return undefined
  return {
    url: config.databaseUrl,
    poolSize: config.databasePoolSize,
    connectTimeoutMs: config.databaseConnectTimeoutMs,
    statementTimeoutMs: config.databaseStatementTimeoutMs,
    meterTimeoutMs: config.meterTimeoutMs,
  }
}

/** Creates the services over an open database. Tests pass a usage store that fails on demand. */
export function createServices(
  config: Config,
  log: Logger,
  clock: Clock,
  { pool, meteringPool, prisma, connections, maxCommits }: Database,
  usage: UsageStore & LiveUsageStore = new SqlUsageStore(pool, meteringPool),
) {
  const bus = config.redisUrl
    ? new RedisEventBus({
        url: config.redisUrl,
        prefix: config.redisPrefix,
        onError: (err) => log.warn({ err }, 'an error on Redis: live counts of other servers may be late'),
      })
    : undefined
  const fairShare = createFairShare(connections)
  const liveUsage = new LiveUsage({
    store: usage,
    bus,
    clock,
    statement: (accountId, run) => fairShare.statement(`account ${accountId}`, run),
    intervalMs: config.liveIntervalMs,
    lateCommitMs: config.meterTimeoutMs,
  })
  const meter = new Meter({
    store: usage,
    clock,
    maxCommits,
    maxWaitingCalls: config.limits.waitingCalls,
    maxWaitMs: config.limits.waitMs,
    timeoutMs: config.meterTimeoutMs,
    counted: (month, at, charge) => liveUsage.counted(month, at, charge),
    inDoubt: () => liveUsage.inDoubt(),
  })
  const changed = (accountId: string) => liveUsage.accountChanged(accountId)
  const vault = new SecretVault(config.encryptionKeys)
  const keys = new ApiKeys({
    store: new SqlApiKeyStore(prisma, pool),
    vault,
    clock,
    prefix: config.keyPrefix,
    mostAddedPerHour: config.limits.addedApiKeysPerHour,
    changed,
  })
  const accountStore = new SqlAccountStore(prisma, pool)
  const accounts = new Accounts({
    store: accountStore,
    keys,
    clock,
    defaultPlan: config.defaultPlan,
    firstKeyByClaim: vault.seals,
    mostCreatedPerMinute: config.limits.createdAccountsPerMinute,
    changed,
  })
  const catalogue = new Catalogue(accountStore, clock, () => liveUsage.plansChanged())
  const services: Services = { accounts, keys, catalogue, meter, liveUsage, vault, clock, prisma, fairShare }
  return {
    services,
    async stop() {
      await meter.stop()
      liveUsage.close()
      bus?.close()
    },
  }
}

/** What all operations but metering share. The pool of an embedded database has one connection. */
function createFairShare(connections: number): FairShare {
  const { operationsAtOnce, operationsAtOncePerOwner, connectionsShare, fieldsPerTurn } = fixedLimits
  return new FairShare({
    operations: operationsAtOnce,
    operationsPerOwner: operationsAtOncePerOwner,
    connections,
    connectionsPerOwner: Math.max(1, Math.floor(connections * connectionsShare)),
    workPerTurn: fieldsPerTurn,
  })
}

/**
 * Applies pending migrations and seeds an empty database.
 * @throws UnknownDefaultPlanError; whatever `migrate` and `seedCatalogue` throw
 */
export async function prepareDatabase(
  { catalogue, defaultPlan }: Config,
  log: Logger,
  { pool, prisma }: Database,
  services: Services,
): Promise<void> {
  const migrations = await migrate(pool)
  if (migrations.length > 0) log.info({ migrations }, 'migrations applied')
  if (await seedCatalogue(prisma, services.catalogue, catalogue ?? defaultCatalogue))
    log.info('catalogue seeded')
  if ((await prisma.plan.count({ where: { slug: defaultPlan } })) === 0)
    throw new UnknownDefaultPlanError(
      `DEFAULT_PLAN: there is no plan ${JSON.stringify(defaultPlan)} in the database.`,
    )
}
