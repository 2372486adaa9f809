import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { Accounts } from './domain/accounts.ts'
import { Catalogue } from './domain/catalogue.ts'
import { ApiKeys } from './domain/keys.ts'
import { LiveUsage } from './domain/live-usage/live-usage.ts'
import type { LiveUsageStore } from './domain/live-usage/usage-pages.ts'
import { Meter } from './domain/metering/meter.ts'
import { type RequestIdStore, RequestPurge } from './domain/metering/request-purge.ts'
import type { UsageStore } from './domain/metering/usage-store.ts'
import { OperatorKeys } from './domain/operator-keys.ts'
import { SecretVault } from './domain/secret-vault.ts'
import type { PrismaClient } from './generated/prisma/client.ts'
import { fixedLimits } from './limits.ts'
import type { Logger } from './log.ts'
import { RedisEventBus } from './messaging/redis-event-bus.ts'
import { FairShare } from './overload/fair-share.ts'
import { defaultCatalogue } from './paths.ts'
import { SqlAccountStore } from './storage/account-store.ts'
import { SqlCatalogueStore } from './storage/catalogue-store.ts'
import { ClockWatch } from './storage/clock-watch.ts'
import type { Database, DatabaseServer } from './storage/database.ts'
import { readDurabilityRisk } from './storage/durability.ts'
import { SqlApiKeyStore } from './storage/key-store.ts'
import { migrate } from './storage/migrate.ts'
import { SqlOperatorKeyStore } from './storage/operator-key-store.ts'
import { refuseSharedSessions } from './storage/pooler.ts'
import { seedCatalogue, UnknownDefaultPlanError } from './storage/seed.ts'
import { SqlUsageStore } from './storage/usage-store.ts'

/** Everything below the transports, put together. */
export interface Services {
  accounts: Accounts
  keys: ApiKeys
  operatorKeys: OperatorKeys
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
  usage: UsageStore & LiveUsageStore & RequestIdStore = new SqlUsageStore(pool, meteringPool),
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
    prefix: config.keyPrefix,
    maxCommits,
    maxWaitingCalls: config.limits.waitingCalls,
    maxWaitMs: config.limits.waitMs,
    timeoutMs: config.meterTimeoutMs,
    counted: (month, at, charge) => liveUsage.counted(month, at, charge),
    inDoubt: () => liveUsage.inDoubt(),
  })
  const requestPurge = new RequestPurge({
    store: usage,
    clock,
    onError: (err) => log.debug({ err }, 'request ids that count no longer could not be removed'),
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
  const accounts = new Accounts({
    store: new SqlAccountStore(prisma, pool),
    keys,
    clock,
    defaultPlan: config.defaultPlan,
    firstKeyByClaim: vault.seals,
    mostCreatedPerMinute: config.limits.createdAccountsPerMinute,
    changed,
  })
  const operatorKeys = new OperatorKeys({
    store: new SqlOperatorKeyStore(pool),
    clock,
    prefix: config.keyPrefix,
    changed,
    leaked: (source, apiKeyIds) =>
      log.warn({ source, apiKeyIds }, 'API keys were reported as leaked and are disabled'),
  })
  const catalogue = new Catalogue({
    store: new SqlCatalogueStore(prisma, pool),
    clock,
    defaultPlan: config.defaultPlan,
    plansChanged: () => liveUsage.plansChanged(),
  })
  const services: Services = {
    accounts,
    keys,
    operatorKeys,
    catalogue,
    meter,
    liveUsage,
    vault,
    clock,
    prisma,
    fairShare,
  }
  return {
    services,
    async stop() {
      await Promise.all([meter.stop(), requestPurge.stop()])
      liveUsage.close()
      bus?.close()
    },
  }
}

/** What all operations but metering share. The pool of an embedded database has one connection. */
function createFairShare(connections: number): FairShare {
  const { operationsAtOnce, operationsAtOncePerOwner, connectionsShare } = fixedLimits
  const { fieldsPerTurn, fieldsPerStatement } = fixedLimits
  return new FairShare({
    operations: operationsAtOnce,
    operationsPerOwner: operationsAtOncePerOwner,
    connections,
    connectionsPerOwner: Math.max(1, Math.floor(connections * connectionsShare)),
    workPerTurn: fieldsPerTurn,
    statementWork: fieldsPerStatement,
  })
}

/**
 * Applies pending migrations and seeds an empty database.
 * @throws SharedSessionsError, UnknownDefaultPlanError; whatever `migrate` and `seedCatalogue` throw
 */
export async function prepareDatabase(
  config: Config,
  log: Logger,
  { pool, prisma }: Database,
  services: Services,
): Promise<void> {
  const { catalogue, defaultPlan } = config
  const server = databaseServerOf(config)
  if (server) await refuseSharedSessions(server)
  const migrations = await migrate(pool)
  if (migrations.length > 0) log.info({ migrations }, 'migrations applied')
  if (await seedCatalogue(prisma, services.catalogue, catalogue ?? defaultCatalogue))
    log.info('catalogue seeded')
  if ((await prisma.plan.count({ where: { slug: defaultPlan } })) === 0)
    throw new UnknownDefaultPlanError(
      `DEFAULT_PLAN: there is no plan ${JSON.stringify(defaultPlan)} in the database.`,
    )
}

/**
 * Logs what weakens the guarantees: settings of the database that let commits get lost, and a clock that differs from
 * the database's, also later. The embedded database has known settings and the server's clock. Returns what ends this.
 */
export async function watchDatabase(
  log: Logger,
  clock: Clock,
  { pool, meteringPool }: Database,
): Promise<() => void> {
  if (pool === meteringPool) return () => {}
  const risk = await readDurabilityRisk(pool)
  if (risk) {
    const { consequences, ...settings } = risk
    log.warn(settings, `the database may lose what it has committed: ${consequences.join('; ')}`)
  }
  const clocks = new ClockWatch({
    pool,
    clock,
    onDifference: (serverAheadMs) =>
      log.warn({ serverAheadMs }, "the server's clock differs from the database's by more than a second"),
    onAgreement: (serverAheadMs) =>
      log.info({ serverAheadMs }, "the server's clock agrees with the database's again"),
  })
  await clocks.start()
  return () => clocks.stop()
}
