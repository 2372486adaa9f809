import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { digestOf } from '../../src/domain/secret.ts'
import { databaseServerOf } from '../../src/services.ts'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { chargeStatement } from '../../src/storage/sql/charge.ts'
import { createStorage, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { type MeteredKey, MeteredKeys } from '../support/metered-keys.ts'

const at = new Date('2026-11-15T12:00:00.000Z')

describe.runIf(inject('postgres'))('the charge statement', () => {
  let storage: TestStorage
  let app: TestApp
  let database: Database
  let client: pg.PoolClient
  const keys: MeteredKey[] = []

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    app = await startApp({ storage })
    const secrets = { authSecret: 'x'.repeat(32), encryptionKey: Buffer.alloc(32).toString('base64') }
    const server = databaseServerOf(readConfig(storage.environment, () => secrets))
    database = await openDatabase({ server, dataDir: 'unused', onIdleError: () => {} })
    client = await database.meteringPool.connect()
    const made = new MeteredKeys(app)
    for (let i = 0; i < 50; i++)
      keys.push(await made.key({ monthlyCallLimit: 1_000_000, rateCalls: 1_000_000, ratePerSeconds: 60 }))
  })
  afterAll(async () => {
    client.release()
    await database.close()
    await app.stop()
    await storage.drop()
  })

  let requests = 0
  const charge = () =>
    client.query({
      ...chargeStatement,
      values: [
        ...['2026-11-01', at.toISOString(), Buffer.concat(keys.map(({ secret }) => digestOf(secret)))],
        ...[
          keys.map(() => 'v3.ping'),
          keys.map(() => 1),
          null,
          null,
          null,
          keys.map(() => `call ${++requests}`),
        ],
      ],
    })

  /** By table, what this session has read of late. */
  async function rowsRead(): Promise<Map<string, number>> {
    const { rows } = await client.query<{ relname: string; read: number }>(
      `select relname, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as read
       from pg_stat_xact_user_tables`,
    )
    return new Map(rows.map(({ relname, read }) => [relname, read]))
  }

  it('reads a few rows a group, although it was planned when the tables were empty', async () => {
    await app.sql('analyze')
    await charge()
    const { prisma } = app.services
    const others = Array.from({ length: 3_000 }, () => randomUUID())
    const [{ accountId = '' } = {}] = keys
    await prisma.meteredRequest.createMany({
      data: others.map((id) => ({ apiKeyId: id, requestId: id, apiCallId: id, at })),
    })
    await prisma.rateBucket.createMany({
      data: others.map((subjectId) => ({ accountId, subjectId, spent: 1, at, perSeconds: 60 })),
    })
    await client.query('begin')
    const before = await rowsRead()
    await charge()
    const after = await rowsRead()
    await client.query('rollback')
    const read = new Map([...after].map(([table, rows]) => [table, rows - (before.get(table) ?? 0)]))
    for (const table of [
      'api_key',
      'account',
      'account_usage',
      'api_key_usage',
      'rate_bucket',
      'metered_request',
    ])
      expect([table, (read.get(table) ?? 0) <= 4 * keys.length]).toEqual([table, true])
    expect(read.get('rate_bucket')).toBeGreaterThanOrEqual(keys.length)
  })
})
