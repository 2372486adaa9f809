import { PrismaPg } from '@prisma/adapter-pg'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { PrismaClient } from '../generated/prisma/client.ts'
import { type EmbeddedDatabase, startEmbeddedDatabase } from './embedded.ts'

export interface Database {
  /** Serves everything but metering. */
  pool: Pool
  /**
   * Serves metering alone, so that metering never waits for other work that hangs or piles up. The embedded database
   * has one session, which both pools share.
   */
  meteringPool: Pool
  prisma: PrismaClient
  /** The size of `pool`. */
  connections: number
  /** How many commits may be under way at once; also the size of `meteringPool`. */
  maxCommits: number
  close(): Promise<void>
}

/** A PostgreSQL server and the limits for using it. */
export interface DatabaseServer {
  /** Its query parameters take precedence over the other options. */
  url: string
  /** Connections of both pools together; 3 or more. */
  poolSize: number
  connectTimeoutMs: number
  /** The time limit of a statement, except for metering. */
  statementTimeoutMs: number
  meterTimeoutMs: number
}

export interface DatabaseOptions {
  /** The embedded database if left out. */
  server?: DatabaseServer | undefined
  /** Where it is being started already; left out, it is started in `dataDir`. */
  embedded?: Promise<EmbeddedDatabase> | undefined
  dataDir: string
  /** Called when an idle connection breaks. */
  onIdleError: (error: Error) => void
}

/** A second commit helps while the first is slow. More would wait for each other's row locks. */
const maxCommits = 2

/**
 * PostgreSQL ends a statement that takes too long and reports it. If that report does not arrive within this time, the
 * connection is given up: a dead connection would otherwise be held for ever.
 */
const answerGraceMs = 1_000

/**
 * Plans the charge statement once per connection: planning takes longer than charging a small batch. The plan must suit
 * tables of any size, whatever they held when it was made, so every lookup uses an index.
 */
const meteringPlans = `
  set plan_cache_mode = force_generic_plan;
  set enable_seqscan = off;
  set enable_hashjoin = off;
  set enable_mergejoin = off;
  set jit = off`

/**
 * PostgreSQL's statistics do not know that one account has removed most of its keys. It would expect to find many that
 * are left, and read the whole table instead of the index without removed keys. For that account, pages and searches
 * take 3 to 8 times as long without this. It costs operators' searches of all accounts, which do read the whole table.
 */
const indexedPlans = 'set enable_seqscan = off; set jit = off'

/**
 * A server that freezes inside a transaction keeps its locks. The database ends such a transaction after this share of
 * the time limit of a statement, so that statements of other servers that wait for a lock still succeed in time.
 */
const idleTransactionShare = 0.5

/** A statement waits for locks no longer than this share of its time limit, and says that it was a lock. */
const lockShare = 0.75

/**
 * The time limit of a statement, unless the URL has one. It is not given to pg as `statement_timeout`, which is sent when
 * connecting: PgBouncer refuses that or ignores it.
 */
const timeLimit = (url: string, limitMs: number) =>
  /[?&]statement_timeout=/.test(url) ? '' : `set statement_timeout = ${Math.ceil(limitMs)};`

const lockLimits = (limitMs: number) => `
  set idle_in_transaction_session_timeout = ${Math.ceil(limitMs * idleTransactionShare)};
  set lock_timeout = ${Math.ceil(limitMs * lockShare)}`

/** The share of a call's time that the database gets. The rest lets its refusal arrive before the call times out. */
const meteringShare = 0.75

/**
 * Opens the database.
 * @throws DataDirInUseError; whatever the embedded database throws when it starts
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { server, dataDir, onIdleError } = options
  if (server) return openServer(server, onIdleError)
  const embedded = await (options.embedded ?? startEmbeddedDatabase(dataDir))
  const { host, port, applicationName } = embedded
  // The embedded database has a single session, so there is one connection, which is kept when idle.
  const pool = createPool(
    {
      ...{ host, port, user: 'postgres', database: 'postgres', max: 1, idleTimeoutMillis: 0 },
      application_name: applicationName,
      // The session outlives the connection, and with it the prepared statements, whose names would be taken.
      onConnect: (client) => client.query(`deallocate all; ${indexedPlans}`),
    },
    onIdleError,
  )
  return overPools(pool, pool, 1, 1, () => embedded.stop())
}

function openServer(server: DatabaseServer, onIdleError: (error: Error) => void): Database {
  const { url, poolSize, connectTimeoutMs, statementTimeoutMs, meterTimeoutMs } = server
  const shared = { connectionString: url, keepAlive: true }
  const connections = poolSize - maxCommits
  const pool = createPool(
    {
      ...shared,
      max: connections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs + answerGraceMs,
      onConnect: (client) =>
        client.query(
          `${timeLimit(url, statementTimeoutMs)} ${indexedPlans}; ${lockLimits(statementTimeoutMs)}`,
        ),
    },
    onIdleError,
  )
  const meteringPool = createPool(
    {
      ...shared,
      max: maxCommits,
      // The call would have timed out, and an attempt that hangs blocks the next one.
      connectionTimeoutMillis: Math.min(connectTimeoutMs, meterTimeoutMs),
      // Batches have one statement and no open transaction, and use all of their time to wait for an account's row.
      onConnect: (client) =>
        client.query(`${timeLimit(url, meterTimeoutMs * meteringShare)} ${meteringPlans}`),
    },
    onIdleError,
  )
  return overPools(pool, meteringPool, connections, maxCommits, async () => {})
}

function createPool(config: PoolConfig, onIdleError: (error: Error) => void): Pool {
  const pool = new Pool({ application_name: 'latchkey', ...config })
  pool.on('connect', (client) => {
    // The pool listens for errors only while a connection is idle, and not while it closes.
    client.on('error', onIdleError)
    closeWhenUnusable(client)
  })
  pool.on('error', () => {})
  return pool
}

/** PostgreSQL's code for a read-only database: after a failover, the primary may be another server. */
const readOnly = '25006'

/**
 * Closes a connection after a query timed out, because its late answer would be taken for the next statement's, and
 * after a read-only error. Prisma would return both to the pool at the end of a transaction.
 */
function closeWhenUnusable(client: PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  client.query = ((...args: unknown[]) => {
    const result = query(...args)
    if (result instanceof Promise)
      result.catch(({ message, code }: Error & { code?: string }) => {
        // pg's error has neither a code nor a class.
        if (message === 'Query read timeout' || code === readOnly) void client.end()
      })
    return result
  }) as typeof client.query
}

function overPools(
  pool: Pool,
  meteringPool: Pool,
  connections: number,
  maxCommits: number,
  stopServer: () => Promise<void>,
): Database {
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  return {
    pool,
    meteringPool,
    prisma,
    connections,
    maxCommits,
    async close() {
      await prisma.$disconnect()
      await Promise.all([...new Set([pool, meteringPool])].map((one) => one.end()))
      await stopServer()
    },
  }
}
