import { PrismaPg } from '@prisma/adapter-pg'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { PrismaClient } from '../generated/prisma/client.ts'
import { type EmbeddedDatabase, startEmbeddedDatabase } from './embedded.ts'

export interface Database {
  /** Serves Prisma and the reads written by hand. */
  pool: Pool
  /**
   * Serves metering alone, so that nothing else that hangs or piles up keeps it waiting. The embedded database has
   * one session, which all share.
   */
  meteringPool: Pool
  prisma: PrismaClient
  /** Commits that may be under way at once; there are as many connections for metering. */
  maxCommits: number
  close(): Promise<void>
}

/** A PostgreSQL server, and what is asked of it. */
export interface DatabaseServer {
  /** What its parameters say goes before the rest of this. */
  url: string
  /** Connections in all; 3 or more. */
  poolSize: number
  connectTimeoutMs: number
  /** How long a statement may take; those of metering have less. */
  statementTimeoutMs: number
  meterTimeoutMs: number
}

export interface DatabaseOptions {
  /** The embedded database where left out. */
  server?: DatabaseServer | undefined
  /** Where it is being started already; left out, it is started in `dataDir`. */
  embedded?: Promise<EmbeddedDatabase> | undefined
  dataDir: string
  /** Told of connections that break while nobody uses them. */
  onIdleError: (error: Error) => void
}

/** One, and one more for when it takes long; more at once would only wait for each other's rows. */
const maxCommits = 2

/**
 * The server ends a statement that takes too long, and says so. Where even that does not arrive, for this much longer
 * it is waited for: without an end, a connection that has gone dead without a word would be held on to for ever.
 */
const answerGraceMs = 1_000

/**
 * The charge statement is planned once and not anew for each batch, which takes longer than to carry out a small one.
 * The plan has to be right for tables of any size, whatever they held when it was made: everything by index.
 */
const meteringPlans = `
  set plan_cache_mode = force_generic_plan;
  set enable_seqscan = off;
  set enable_hashjoin = off;
  set enable_mergejoin = off;
  set jit = off`

/** Of its time, what a metered call gives the database: its answer that nothing was counted is to come in time. */
const meteringShare = 0.75

/**
 * Opens the database.
 * @throws DataDirInUseError; whatever the embedded database fails to start with
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { server, dataDir, onIdleError } = options
  if (server) return openServer(server, onIdleError)
  const embedded = await (options.embedded ?? startEmbeddedDatabase(dataDir))
  const { host, port } = embedded
  // The embedded database has a single session, so there is one connection, and it is kept when idle.
  const pool = createPool(
    {
      ...{ host, port, user: 'postgres', database: 'postgres', max: 1, idleTimeoutMillis: 0 },
      // The session outlives a connection: without this, what the last one prepared could not be prepared again.
      onConnect: (client) => client.query('deallocate all'),
    },
    onIdleError,
  )
  return overPools(pool, pool, 1, () => embedded.stop())
}

function openServer(server: DatabaseServer, onIdleError: (error: Error) => void): Database {
  const { url, poolSize, connectTimeoutMs, statementTimeoutMs, meterTimeoutMs } = server
  const shared = { connectionString: url, keepAlive: true }
  const pool = createPool(
    {
      ...shared,
      max: poolSize - maxCommits,
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + answerGraceMs,
    },
    onIdleError,
  )
  const meteringPool = createPool(
    {
      ...shared,
      max: maxCommits,
      // A call would not wait for it any longer, and an attempt that hangs keeps the next one from being made.
      connectionTimeoutMillis: Math.min(connectTimeoutMs, meterTimeoutMs),
      statement_timeout: Math.ceil(meterTimeoutMs * meteringShare),
      onConnect: (client) => client.query(meteringPlans),
    },
    onIdleError,
  )
  return overPools(pool, meteringPool, maxCommits, async () => {})
}

function createPool(config: PoolConfig, onIdleError: (error: Error) => void): Pool {
  const pool = new Pool({ application_name: 'latchkey', ...config })
  pool.on('connect', (client) => {
    // The pool listens to a connection only while it is idle, and not while it is being closed: so this does.
    client.on('error', onIdleError)
    closeWhenUseless(client)
  })
  pool.on('error', () => {})
  return pool
}

/** PostgreSQL's code for a database that takes no writes: another may be the primary now, at the same address. */
const readOnly = '25006'

/**
 * Closes a connection on which an answer was given up on, for it may still come, and would then be taken for that to
 * the next statement; and one to a database that takes no writes. After a transaction, Prisma would give both back to
 * the pool.
 */
function closeWhenUseless(client: PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  client.query = ((...args: unknown[]) => {
    const result = query(...args)
    if (result instanceof Promise)
      result.catch(({ message, code }: Error & { code?: string }) => {
        if (message === 'Query read timeout' || code === readOnly) void client.end()
      })
    return result
  }) as typeof client.query
}

function overPools(
  pool: Pool,
  meteringPool: Pool,
  maxCommits: number,
  stopServer: () => Promise<void>,
): Database {
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  return {
    pool,
    meteringPool,
    prisma,
    maxCommits,
    async close() {
      await prisma.$disconnect()
      await Promise.all([...new Set([pool, meteringPool])].map((one) => one.end()))
      await stopServer()
    },
  }
}
