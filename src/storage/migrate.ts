import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Pool, PoolClient } from 'pg'
import { migrationsDirectory } from '../paths.ts'

/** An arbitrary number that every server uses. */
const advisoryLock = 7_201_846_131

/** For statements that may take long on a large database or wait for another server. */
const withoutTimeLimit = { query_timeout: 2_147_483_647 }

/**
 * While a migration waits for a table's lock, everything that arrives later waits behind it, metering included. So it
 * waits for a moment only.
 */
const migrationLockMs = 2_000

/** A server that freezes while it migrates loses its connection after this time, and with it the locks. */
const frozenMs = 60_000

/** PostgreSQL's code for a lock that was not available in time. */
const lockNotAvailable = '55P03'

/**
 * PostgreSQL's codes for a role that may not change the schema, a read-only database, and a search_path without any
 * existing schema.
 */
const refusesChange = /^(42501|25006|3F000)$/

/** The database cannot be connected to; the message says why. */
export class NoConnectionError extends Error {}

/** The database's schema does not match this version. */
export class SchemaError extends Error {}

/** As Prisma creates the table, so that `prisma migrate deploy` and the server agree. */
const createMigrationsTable = `
  create table if not exists _prisma_migrations (
    id varchar(36) primary key not null,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
  )`

/**
 * Applies pending migrations, each in its own transaction, one server at a time. Returns the names of those it applied.
 * If none is pending, a role that may not change the schema is enough.
 * @throws NoConnectionError; SchemaError if the schema is newer, was changed, or is older and may not be changed;
 * whatever a migration fails with
 */
export async function migrate(pool: Pool): Promise<string[]> {
  const migrations = await readMigrations()
  const client = await connecting(pool.connect())
  try {
    const pending = await pendingOf(client, migrations)
    return pending.length === 0 ? [] : await applyInTurn(client, migrations)
  } finally {
    // Closes the connection, because its session settings were changed.
    client.release(true)
  }
}

/** Waits for a connection at start, when a failure means that the server cannot be reached. @throws NoConnectionError */
export async function connecting<Connection>(attempt: Promise<Connection>): Promise<Connection> {
  return await attempt.catch((cause: NodeJS.ErrnoException) => {
    // For a name with several addresses, Node.js gives only a code.
    throw new NoConnectionError(cause.message || cause.code, { cause })
  })
}

interface Migration {
  name: string
  sql: string
  checksum: string
}

async function readMigrations(): Promise<Migration[]> {
  const entries = await readdir(migrationsDirectory, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return await Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(new URL(`${name}/migration.sql`, migrationsDirectory), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function applyInTurn(client: PoolClient, migrations: readonly Migration[]): Promise<string[]> {
  await client.query(`
    set statement_timeout = 0;
    set lock_timeout = 0;
    set idle_session_timeout = ${frozenMs};
    set idle_in_transaction_session_timeout = ${frozenMs}`)
  await client.query({ text: 'select pg_advisory_lock($1)', values: [advisoryLock], ...withoutTimeLimit })
  await client.query(`set lock_timeout = ${migrationLockMs}`)
  // Another server may have applied them while this one waited.
  const pending = await pendingOf(client, migrations)
  try {
    await client.query(createMigrationsTable)
    for (const migration of pending) await applyOne(client, migration)
  } catch (cause) {
    const { code = '', message } = cause as Error & { code?: string }
    if (code === lockNotAvailable)
      throw new SchemaError(
        `The migration ${pending[0]?.name} was not applied: other sessions lock what it changes. Start again when ` +
          'they have ended; pg_dump is one that may take long.',
        { cause },
      )
    if (!refusesChange.test(code)) throw cause
    throw new SchemaError(
      `The database is older than this version of Latchkey: it lacks the migration ${pending[0]?.name}, which ` +
        `cannot be applied here (${message}). Start once with a role that may change the schema, or apply it with ` +
        '`prisma migrate deploy`.',
      { cause },
    )
  } finally {
    await cleanUp(client, `select pg_advisory_unlock(${advisoryLock})`)
  }
  return pending.map(({ name }) => name)
}

/** The pending migrations, after checking that the applied ones are those of this version. */
async function pendingOf(client: PoolClient, migrations: readonly Migration[]): Promise<Migration[]> {
  const applied = new Map((await readApplied(client)).map((row) => [row.migration_name, row]))
  const known = new Set(migrations.map(({ name }) => name))
  const newer = [...applied.keys()].find((name) => !known.has(name))
  if (newer)
    throw new SchemaError(
      `The database is newer than this version of Latchkey: it has the migration ${newer}, which this version does ` +
        'not know. Start the version that applied it, or a later one.',
    )
  return migrations.filter(({ name, checksum }) => {
    const row = applied.get(name)
    if (!row) return true
    if (row.finished_at === null)
      throw new SchemaError(
        `The migration ${name} did not finish. Resolve it with \`prisma migrate resolve\`.`,
      )
    if (row.checksum !== checksum)
      throw new SchemaError(`The migration ${name} was changed after it had been applied.`)
    return false
  })
}

async function readApplied(client: PoolClient) {
  const { rows } = await client.query<{ there: boolean }>(
    "select to_regclass('_prisma_migrations') is not null as there",
  )
  if (!rows[0]?.there) return []
  const applied = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
    'select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null',
  )
  return applied.rows
}

async function applyOne(client: PoolClient, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('begin')
  try {
    await client.query({ text: sql, ...withoutTimeLimit })
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       values ($1, $2, $3, now(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('commit')
  } catch (error) {
    await cleanUp(client, 'rollback')
    throw error
  }
}

/**
 * Runs a statement that cleans up, and does not fail if that does: its error would replace the one that the operator
 * must see. `migrate` closes the connection, at which PostgreSQL rolls back and unlocks by itself.
 */
async function cleanUp(client: PoolClient, statement: string): Promise<void> {
  await client.query(statement).catch(() => {})
}
