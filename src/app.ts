import { setTimeout } from 'node:timers/promises'
import type { GraphQLSchema } from 'graphql'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { Accounts } from './domain/accounts.ts'
import { Catalogue } from './domain/catalogue.ts'
import { ApiKeys } from './domain/keys.ts'
import type { LiveUsageStore } from './domain/live-usage/account-hub.ts'
import { LiveUsage } from './domain/live-usage/live-usage.ts'
import { Meter } from './domain/metering/meter.ts'
import type { UsageStore } from './domain/metering/usage-store.ts'
import { SecretVault } from './domain/secret-vault.ts'
import { AccountConnections } from './http/account-connections.ts'
import { createAdmission } from './http/admission.ts'
import { createAuthenticate } from './http/authenticate.ts'
import { createClientArea } from './http/client-area.ts'
import { createGraphiQL, type Explorer } from './http/graphiql.ts'
import { createGraphQLPipeline } from './http/graphql.ts'
import { createMaskError } from './http/mask-error.ts'
import { createOrigins } from './http/origins.ts'
import { answerPlainPost } from './http/plain-post.ts'
import { createHttpServer, listen } from './http/server.ts'
import { serveWebSocket } from './http/websocket.ts'
import type { Logger } from './log.ts'
import { defaultCatalogue } from './paths.ts'
import type { Services } from './schema/context.ts'
import { SqlAccountStore } from './storage/account-store.ts'
import { type Database, type DatabaseServer, openDatabase } from './storage/database.ts'
import type { EmbeddedDatabase } from './storage/embedded.ts'
import { inProcessEventBus, redisEventBus } from './storage/event-bus.ts'
import { SqlApiKeyStore } from './storage/key-store.ts'
import { migrate } from './storage/migrate.ts'
import { queryUntil } from './storage/query-until.ts'
import { seedCatalogue, UnknownDefaultPlanError } from './storage/seed.ts'
import { isUnavailable } from './storage/unavailable.ts'
import { SqlUsageStore } from './storage/usage-store.ts'

export interface AppOptions {
  config: Config
  log: Logger
  clock?: Clock
  /** The embedded database where it is being started already; left out, it is started where the settings ask for it. */
  embedded?: Promise<EmbeddedDatabase> | undefined
  /** Reads what GraphiQL is filled in with; left out, there are placeholders. */
  explorer?: ((services: Services) => Promise<Explorer>) | undefined
  /** Makes a token for the client area; left out, it has none but its host's. */
  demoToken?: (() => Promise<string>) | undefined
  /** Where the built client area is; left out, where the build puts it. */
  clientAreaDirectory?: string | undefined
  /** False: Yoga answers every request. What is answered is the same, which tests hold it to. */
  plainHttp?: boolean | undefined
  /** Another schema in place of Latchkey's own; the bench puts a no-op beside it. */
  schema?: GraphQLSchema | undefined
}

export interface App {
  /** Where it listens: `http://host:port`. */
  url: string
  /** For those who prepare data: the start-up of development, and tests. */
  services: Services
  /**
   * `/ready` says no for `delayMs` (0 where left out) while all else goes on; then what has been accepted is answered
   * and everything closed. Harmless when called again.
   */
  stop(options?: { delayMs?: number }): Promise<void>
}

/** Of the time to stop in: what answering may take. The rest is for closing connections and the database. */
const answeringShare = 0.8

/**
 * Opens the database, brings it up to date, puts the parts together and listens.
 * @throws DataDirInUseError, UnknownDefaultPlanError, what the database cannot be opened or migrated with, and
 * Node's EADDRINUSE
 */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, log, clock = systemClock } = options
  const database = await openDatabase({
    server: databaseServerOf(config),
    embedded: options.embedded,
    dataDir: config.dataDir,
    onIdleError: (err) => log.warn({ err }, 'a database connection broke'),
  })
  const parts = createServices(config, log, clock, database)
  try {
    await prepareDatabase(config, log, database, parts.services)
    const transports = await startTransports(options, clock, database, parts.services)
    let stopped: Promise<void> | undefined
    return {
      url: transports.url,
      services: parts.services,
      stop({ delayMs = 0 } = {}) {
        stopped ??= (async () => {
          transports.announceStop()
          if (delayMs > 0) await setTimeout(delayMs)
          await transports.stop(config.shutdownTimeoutMs - delayMs)
          await parts.stop()
          await database.close()
        })()
        return stopped
      },
    }
  } catch (error) {
    await parts.stop()
    await database.close()
    throw error
  }
}

/** What the settings say of the database server; undefined for the embedded database. */
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

/** Everything but the transports, over an open database. Tests give a usage store that fails as they say. */
export function createServices(
  config: Config,
  log: Logger,
  clock: Clock,
  { pool, meteringPool, prisma, maxCommits }: Database,
  usage: UsageStore & LiveUsageStore = new SqlUsageStore(pool, meteringPool),
) {
  const redis = config.redisUrl
    ? redisEventBus({
        url: config.redisUrl,
        prefix: config.redisPrefix,
        onError: (err) => log.warn({ err }, 'Redis does not answer'),
      })
    : undefined
  const liveUsage = new LiveUsage({
    store: usage,
    bus: redis ?? inProcessEventBus(),
    clock,
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
    uncertain: () => liveUsage.uncertain(),
  })
  const changed = (accountId: string) => liveUsage.accountChanged(accountId)
  const vault = new SecretVault(config.encryptionKeys)
  const keys = new ApiKeys({
    store: new SqlApiKeyStore(prisma),
    vault,
    clock,
    prefix: config.keyPrefix,
    changed,
  })
  const accountStore = new SqlAccountStore(prisma)
  const accounts = new Accounts({
    store: accountStore,
    keys,
    clock,
    defaultPlan: config.defaultPlan,
    changed,
  })
  const catalogue = new Catalogue(accountStore, clock, () => liveUsage.plansChanged())
  const services: Services = { accounts, keys, catalogue, meter, liveUsage, vault, clock, prisma }
  return {
    services,
    async stop() {
      await meter.stop()
      liveUsage.close()
      await redis?.close()
    },
  }
}

/** Brings the database up to date and seeds it. */
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

async function startTransports(
  { config, log, explorer, demoToken, clientAreaDirectory, plainHttp = true, schema }: AppOptions,
  clock: Clock,
  { pool }: Database,
  services: Services,
): Promise<{ url: string; announceStop: () => void; stop: (withinMs: number) => Promise<void> }> {
  const maskError = createMaskError({ log, isUnavailable, hideSuggestions: !config.graphiql })
  const authenticate = createAuthenticate(config.auth, clock)
  const graphiql = config.graphiql ? createGraphiQL(explorer && (() => explorer(services))) : undefined
  const pipeline = createGraphQLPipeline({ services, maskError, graphiql, schema })
  const checkReady = async () =>
    void (await queryUntil(pool, AbortSignal.timeout(config.meterTimeoutMs), { text: 'select 1' }))
  const requestLogLevel = config.production ? 'info' : 'debug'
  const { corsOrigins, clientAreaOrigin: hostOrigin } = config
  const origins = createOrigins(corsOrigins && [...corsOrigins, ...(hostOrigin ? [hostOrigin] : [])])
  const { limits } = config
  const accountConnections = new AccountConnections(limits.webSocketsPerAccount)
  const shared = {
    pipeline,
    authenticate,
    maskError,
    log,
    requestLogLevel,
    limits,
    accountConnections,
    origins,
    admission: createAdmission({
      meter: services.meter,
      waitingQueries: () => pool.waitingCount,
      maxWaitingQueries: limits.waitingQueries,
    }),
  } as const
  const http = createHttpServer({
    ...shared,
    checkReady,
    answerPlain: plainHttp ? answerPlainPost : undefined,
    clientArea: config.clientArea
      ? await createClientArea({ log, directory: clientAreaDirectory, hostOrigin, demoToken })
      : undefined,
  })
  const webSocket = serveWebSocket({
    ...shared,
    server: http.server,
    isAnswering: http.isAnswering,
    clock,
  })
  const port = await listen(http.server, config.host, config.port)
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return {
    url: `http://${host}:${port}`,
    announceStop: http.announceStop,
    async stop(withinMs) {
      const answerMs = withinMs * answeringShare
      await Promise.all([http.stop(answerMs), webSocket.stop(answerMs, (withinMs - answerMs) / 2)])
    },
  }
}
