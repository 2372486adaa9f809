import { PrismaPg } from '@prisma/adapter-pg'
import { Pool, type PoolConfig } from 'pg'
import { PrismaClient } from '../generated/prisma/client.ts'
import { startEmbeddedDatabase } from './embedded.ts'

export interface Database {
  /** One pool serves Prisma and the statements written by hand. */
  pool: Pool
  prisma: PrismaClient
  /** Commits that may be under way at once without starving everything else of connections. */
  maxCommits: number
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** A PostgreSQL server; the embedded database where left out. */
  url?: string | undefined
  dataDir: string
  /** Told of connections that break while nobody uses them. */
  onIdleError: (error: Error) => void
  /** How long a statement's answer is waited for; 8 seconds where left out. */
  answerTimeoutMs?: number
}

const maxConnections = 10
const connectTimeoutMs = 5_000
/**
 * Without an end to waiting, a connection that has gone dead without a word would hold on to the calls that were sent
 * over it, and to the server when it is to stop. Shorter than the server waits for its last answers.
 */
const defaultAnswerTimeoutMs = 8_000

/**
 * Opens the database.
 * @throws DataDirInUseError; whatever the embedded database fails to start with
 */
export async function openDatabase({
  url,
  dataDir,
  onIdleError,
  answerTimeoutMs = defaultAnswerTimeoutMs,
}: DatabaseOptions): Promise<Database> {
  if (url !== undefined) {
    const config = {
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: answerTimeoutMs,
    }
    return overPool(config, 2, onIdleError, async () => {})
  }
  const embedded = await startEmbeddedDatabase(dataDir)
  const { host, port } = embedded
  // The embedded database has a single session, so there is one connection, and it is kept when idle.
  const config = { host, port, user: 'postgres', database: 'postgres', max: 1, idleTimeoutMillis: 0 }
  const database = overPool(config, 1, onIdleError, () => embedded.stop())
  // The session outlives a connection: without this, what the last one prepared could not be prepared again.
  database.pool.on('connect', (client) => void client.query('deallocate all').catch(onIdleError))
  return database
}

function overPool(
  config: PoolConfig,
  maxCommits: number,
  onIdleError: (error: Error) => void,
  stopServer: () => Promise<void>,
): Database {
  const pool = new Pool({ application_name: 'latchkey', ...config })
  // The pool listens to a connection only while it is idle, and not while it is being closed: so this does.
  pool.on('connect', (client) => client.on('error', onIdleError))
  pool.on('error', () => {})
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  return {
    pool,
    prisma,
    maxCommits,
    async close() {
      await prisma.$disconnect()
      await pool.end()
      await stopServer()
    },
  }
}
