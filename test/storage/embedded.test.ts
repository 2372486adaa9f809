import { connect } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { queryUntil } from '../../src/storage/query-until.ts'
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

  it('prepares a named statement again on the next connection, although the session is the same', async () => {
    const statement = { name: 'a-name', text: 'select 1 as one' }
    expect((await database.pool.query(statement)).rows).toEqual([{ one: 1 }])
    const client = await database.pool.connect()
    client.release(true)
    expect((await database.pool.query(statement)).rows).toEqual([{ one: 1 }])
  })

  it('lets no other process connect, whatever it would have left in the session', async () => {
    const { DATA_DIR: host = '' } = storage.environment
    const leaveBehind = async (options: pg.ClientConfig) => {
      const client = new pg.Client({ host, port: 5432, user: 'postgres', database: 'postgres', ...options })
      client.on('error', () => {})
      await client.connect()
      await client.query('set search_path = nowhere')
      await client.query('prepare "a-name" as select \'not yours\' as one')
      await client.query('begin')
      await client.query('select from no_such_table').catch(() => {})
      await client.end()
    }
    const guessed = `latchkey ${'0'.repeat(32)}`
    for (const options of [
      {},
      { application_name: 'latchkey' },
      { application_name: guessed },
      { ssl: true },
    ])
      await expect(leaveBehind(options)).rejects.toThrow()
    // psql asks for TLS first.
    const socket = connect(join(host, '.s.PGSQL.5432')).setEncoding('utf8')
    socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
    expect((await socket.toArray()).join('')).toContain('serves its Latchkey process alone')
    const statement = { name: 'a-name', text: 'select 1 as one' }
    expect((await database.pool.query(statement)).rows).toEqual([{ one: 1 }])
    expect((await database.pool.query('select count(*)::int as plans from plan')).rows).toEqual([
      { plans: 4 },
    ])
  })

  it('goes on after a statement timed out, once that statement has ended', async () => {
    const { pool } = database
    const giveUp = new AbortController()
    const slow = queryUntil(pool, giveUp.signal, { text: 'select sum(n) from generate_series(1, 3e6) as n' })
    // It was sent, because it has the one connection.
    await vi.waitFor(() => expect([pool.totalCount, pool.idleCount]).toEqual([1, 0]))
    giveUp.abort(new Error('It takes too long.'))
    await expect(slow).rejects.toThrow('It takes too long.')
    await expect(queryUntil(pool, giveUp.signal, { text: 'select 1' })).rejects.toThrow('It takes too long.')
    expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  })
})
