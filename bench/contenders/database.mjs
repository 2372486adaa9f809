import pg from 'pg'

export const databaseUrl = process.env.BENCH_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres'

const created = new Set()

/**
 * Creates an empty database for one contender and returns its URL. Its name ends with this process's id, so that
 * two runs of the bench on one PostgreSQL do not drop each other's databases.
 */
export async function createDatabase(name) {
  const database = `bench_${name}_${process.pid}`
  created.add(database)
  await administer(`drop database if exists ${database} with (force)`)
  await administer(`create database ${database}`)
  const url = new URL(databaseUrl)
  url.pathname = `/${database}`
  return url.href
}

/** The name of the database that a URL leads to; undefined without a URL. */
export const databaseOf = (url) => (url === undefined ? undefined : new URL(url).pathname.slice(1))

export async function dropDatabase(url) {
  const database = databaseOf(url)
  await administer(`drop database if exists ${database} with (force)`)
  created.delete(database)
}

/** Drops what a run that failed or was stopped has left. */
export async function dropAllDatabases() {
  for (const database of created) await administer(`drop database if exists ${database} with (force)`)
  created.clear()
}

/** Brings tables to the state that they have after autovacuum, so that it does not run while something is measured. */
export async function settle(url) {
  await administer(['vacuum analyze', 'checkpoint'], url)
}

async function administer(statements, url = databaseUrl) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const statement of [statements].flat()) await client.query(statement)
  await client.end()
}
