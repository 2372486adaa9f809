import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Pool, PoolClient } from 'pg'

const migrationsUrl = new URL('../../prisma/migrations/', import.meta.url)

/** Any number will do, as long as every server asks for the same lock. */
const advisoryLock = 7_201_846_131

/** For statements that may take long on a large database, or wait for another server's. */
const inItsOwnTime = { query_timeout: 2_147_483_647 }

/** The table as Prisma itself creates it, so that `prisma migrate deploy` and the server agree. */
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
 * Applies the migrations that the database does not have yet, each in a transaction of its own; one server at
 * a time, the others wait. Returns the names of those it applied.
 * @throws where a migration fails, where one that was applied has been changed since or failed half-way, and
 * where the database has one that this version does not know
 */
export async function migrate(pool: Pool): Promise<string[]> {
  const migrations = await readMigrations()
  const client = await pool.connect()
  try {
    await client.query({ text: 'select pg_advisory_lock($1)', values: [advisoryLock], ...inItsOwnTime })
    try {
      return await applyPending(client, migrations)
    } finally {
      await client.query('select pg_advisory_unlock($1)', [advisoryLock])
    }
  } finally {
    client.release()
  }
}

interface Migration {
  name: string
  sql: string
  checksum: string
}

async function readMigrations(): Promise<Migration[]> {
  const entries = await readdir(migrationsUrl, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return await Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(new URL(`${name}/migration.sql`, migrationsUrl), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function applyPending(client: PoolClient, migrations: readonly Migration[]): Promise<string[]> {
  await client.query(createMigrationsTable)
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
    'select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null',
  )
  const known = new Set(migrations.map(({ name }) => name))
  const newer = rows.find(({ migration_name }) => !known.has(migration_name))
  if (newer)
    throw new Error(
      `The database has the migration ${newer.migration_name}, which this version of Latchkey does not know. ` +
        'Start the version that applied it, or a later one.',
    )
  const applied = new Map(rows.map((row) => [row.migration_name, row]))
  const pending: string[] = []
  for (const { name, sql, checksum } of migrations) {
    const row = applied.get(name)
    if (row && row.finished_at === null)
      throw new Error(`The migration ${name} did not finish. Resolve it with \`prisma migrate resolve\`.`)
    if (row && row.checksum !== checksum)
      throw new Error(`The migration ${name} was changed after it had been applied.`)
    if (row) continue
    await applyOne(client, { name, sql, checksum })
    pending.push(name)
  }
  return pending
}

async function applyOne(client: PoolClient, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('begin')
  try {
    await client.query({ text: sql, ...inItsOwnTime })
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       values ($1, $2, $3, now(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}
