import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { migrate } from '../../src/storage/migrate.ts'
import { isUnavailable } from '../../src/storage/unavailable.ts'
import { createStorage, type TestStorage } from '../support/app.ts'
import { Network } from '../support/network.ts'

const limits = { poolSize: 5, connectTimeoutMs: 5_000, statementTimeoutMs: 300, meterTimeoutMs: 2_000 }

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
    const server = {
      url,
      poolSize: 5,
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 300,
      meterTimeoutMs: 2_000,
    }
    database = await openDatabase({ server, dataDir: DATA_DIR, onIdleError: () => {} })
  })
  afterAll(async () => {
    await database.close()
    await storage.drop()
  })

  it('fails its statements, with errors that count as unavailable', async () => {
    for (const ask of [
      () => database.pool.query('select pg_sleep(3)'),
      () => database.prisma.$queryRaw`select pg_sleep(3)::text`,
      () => database.prisma.$transaction((tx) => tx.$queryRaw`select pg_sleep(3)::text`),
    ]) {
      const error = await errorOf(ask())
      expect([String(error), isUnavailable(error)]).toEqual([expect.any(String), true])
    }
    expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('closes a connection that timed out in a transaction, and opens another for the next one', async () => {
    const { port, pathname } = new URL(url)
    const network = await Network.to(Number(port || 5432))
    const server = { ...limits, url: `postgres://postgres@127.0.0.1:${network.port}${pathname}`, poolSize: 3 }
    const { pool, prisma, close } = await openDatabase({ server, dataDir: '', onIdleError: () => {} })
    for (let round = 0; round < 3; round++) {
      const error = await errorOf(
        prisma.$transaction(async (tx) => {
          await tx.$queryRaw`select 1`
          network.freeze()
          await tx.$queryRaw`select 2`
        }),
      )
      expect([String(error), isUnavailable(error)]).toEqual([expect.any(String), true])
      // The pool has one connection, so closing it makes room for the next.
      await vi.waitFor(() => expect(pool.totalCount).toBe(0))
      network.thaw()
      expect(await prisma.$queryRaw`select 3 as three`).toEqual([{ three: 3 }])
    }
    await close()
    await network.cut()
  })

  it('closes connections to a primary that became read-only, in a transaction or not', async () => {
    const { pool, prisma, close } = await openDatabase({
      server: { ...limits, url: `${url}?options=-c%20default_transaction_read_only%3Don`, poolSize: 3 },
      dataDir: '',
      onIdleError: () => {},
    })
    const write = 'create table written ()'
    for (const attempt of [
      () => prisma.$executeRawUnsafe(write),
      () => prisma.$transaction((tx) => tx.$executeRawUnsafe(write)),
    ]) {
      const error = await errorOf(attempt())
      expect([String(error), isUnavailable(error)]).toEqual([expect.stringContaining('25006'), true])
      await vi.waitFor(() => expect(pool.totalCount).toBe(0))
    }
    await close()
  })

  it('does not limit the time of migrations', async () => {
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query('select pg_advisory_lock(7201846131)')
    const migrated = migrate(database.pool)
    await other.query('select pg_sleep(0.8)')
    await other.end()
    expect(await migrated).not.toEqual([])
  })
})
