import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { createStorage, type TestStorage } from '../support/app.ts'

describe('the embedded database', () => {
  let storage: TestStorage
  let database: Database

  beforeAll(async () => {
    storage = await createStorage('embedded')
    const { DATA_DIR: dataDir = '' } = storage.environment
    database = await openDatabase({ dataDir, onIdleError: () => {} })
  })
  afterAll(async () => {
    await database.close()
    await storage.drop()
  })

  it('takes a named statement again on the next connection, though its session stays the same', async () => {
    const statement = { name: 'a-name', text: 'select 1 as one' }
    expect((await database.pool.query(statement)).rows).toEqual([{ one: 1 }])
    const client = await database.pool.connect()
    client.release(true)
    expect((await database.pool.query(statement)).rows).toEqual([{ one: 1 }])
  })
})
