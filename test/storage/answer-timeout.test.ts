import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { isUnavailable } from '../../src/storage/unavailable.ts'
import { createStorage, type TestStorage } from '../support/app.ts'

const errorOf = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => undefined,
    (error: unknown) => error,
  )

describe.runIf(inject('postgres'))('a database that does not answer in time', () => {
  let storage: TestStorage
  let url: string
  let database: Database

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    const { DATABASE_URL = '', DATA_DIR = '' } = storage.environment
    url = DATABASE_URL
    database = await openDatabase({ url, dataDir: DATA_DIR, onIdleError: () => {}, answerTimeoutMs: 300 })
  })
  afterAll(async () => {
    await database.close()
    await storage.drop()
  })

  it('is given up on, and counts as unavailable', async () => {
    for (const ask of [
      () => database.pool.query('select pg_sleep(3)'),
      () => database.prisma.$queryRaw`select pg_sleep(3)::text`,
      () => database.prisma.$transaction((tx) => tx.$queryRaw`select pg_sleep(3)::text`),
    ]) {
      const error = await errorOf(ask())
      expect([String(error), isUnavailable(error)]).toEqual([expect.any(String), true])
    }
    // A transaction gives its connection back as it is; the next to use it finds out.
    await vi.waitFor(async () =>
      expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]),
    )
  })

  it('is waited for by migrations, which may take their time', async () => {
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query('select pg_advisory_lock(7201846131)')
    const migrated = migrate(database.pool)
    await other.query('select pg_sleep(0.8)')
    await other.end()
    expect(await migrated).not.toEqual([])
  })
})
