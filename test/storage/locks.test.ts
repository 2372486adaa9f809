import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { databaseServerOf } from '../../src/services.ts'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { migrate, SchemaError } from '../../src/storage/migrate.ts'
import { connectTo, createStorage, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { AddApiKey } from '../support/operations.ts'

const environment = { DATABASE_STATEMENT_TIMEOUT_MS: '3000' }

describe.runIf(inject('postgres'))('locks on PostgreSQL', () => {
  let storage: TestStorage
  let app: TestApp
  /** The connections of another server. */
  let other: Database

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    app = await startApp({ storage, environment })
    const server = databaseServerOf(
      readConfig({ ...storage.environment, ...environment }, () => ({
        authSecret: 'x'.repeat(32),
        encryptionKey: Buffer.alloc(32).toString('base64'),
      })),
    )
    other = await openDatabase({ server, dataDir: 'unused', onIdleError: () => {} })
  })
  afterAll(async () => {
    await other.close()
    await app.stop()
    await storage.drop()
  })

  it('that a frozen server holds are released before other servers’ additions time out', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 5 })
    const accountId = await app.services.accounts.find(customer.externalId)
    const frozen = await other.pool.connect()
    const ended = once(frozen, 'error')
    await frozen.query('begin')
    await frozen.query('select from account where id = $1 for no key update', [accountId])
    const { data } = await app.query(AddApiKey, { as: customer.token, variables: { input: {} } })
    expect(data.addApiKey.__typename).toBe('AddApiKeyPayload')
    await ended
    frozen.release(true)
  })

  it('end a statement that waits for them, as a lock that was not available', async () => {
    const pool = connectTo(storage, 1)
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('lock table plan')
    await expect(other.pool.query('select from plan')).rejects.toMatchObject({ code: '55P03' })
    await holder.query('rollback')
    holder.release()
    await pool.end()
  })

  it('make a migration give up at once, so that nothing queues behind it', async () => {
    await app.sql("delete from _prisma_migrations where migration_name like '%listed_plans'")
    await app.sql('alter table plan drop column listed')
    const pool = connectTo(storage, 2)
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from plan')
    const migrating = migrate(other.pool)
    await expect(migrating).rejects.toThrow(SchemaError)
    await expect(migrating).rejects.toThrow('other sessions lock what it changes')
    await holder.query('rollback')
    holder.release()
    expect(await migrate(other.pool)).toEqual(['20261125000000_listed_plans'])
    await pool.end()
  })
})
