import pg from 'pg'

export const databaseUrl = process.env.BENCH_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres'

/** A database of a contender's own on the bench's server; made anew. */
export async function createDatabase(name) {
  await administer(`drop database if exists ${name} with (force)`)
  await administer(`create database ${name}`)
  const url = new URL(databaseUrl)
  url.pathname = `/${name}`
  return url.href
}

export async function dropDatabase(name) {
  await administer(`drop database if exists ${name} with (force)`)
}

async function administer(statement) {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(statement)
  await client.end()
}
