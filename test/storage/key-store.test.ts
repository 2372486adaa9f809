import type pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { NewApiKey } from '../../src/domain/key-store.ts'
import { SqlAccountStore } from '../../src/storage/account-store.ts'
import { SqlApiKeyStore } from '../../src/storage/key-store.ts'
import {
  connectTo,
  createStorage,
  databases,
  startApp,
  type TestApp,
  type TestStorage,
} from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'

const keyWith = (access: NewApiKey['access']): NewApiKey => {
  const id = uuidv7()
  return {
    ...{ id, note: null, access, createdAt: new Date(), sealedSecret: null, start: 'lk_' },
    digest: Buffer.from(id.replaceAll('-', '').repeat(2), 'hex'),
  }
}

describe.each(databases)('the stores of keys and accounts on %s', (database) => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp({ database })
  })
  afterAll(() => app.stop())

  it('list every unknown API call in the order given, and add nothing', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 5 })
    const accountId = (await app.services.accounts.find(customer.externalId)) as string
    const apiCalls = ['v3.nope', 'v3.ping', 'nil\u0000', 'v3.account.limits', '', 'v3.other']
    const access = { mode: 'RESTRICTED', apiCalls } as const
    const unknown = ['v3.nope', 'nil\u0000', '', 'v3.other']
    await expect(app.services.keys.add(accountId, null, access)).rejects.toMatchObject({
      issues: unknown.map((name) => ({
        message: `The catalogue has no API call named ${JSON.stringify(name)}.`,
      })),
    })
    expect((await customer.account()).apiKeys.totalCount).toBe(1)
  })

  it('create an account once, with one key, however many servers see its customer first', async () => {
    const { accounts, prisma } = app.services
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        i % 2
          ? accounts.findOrCreate('first seen')
          : accounts
              .save({ externalId: 'first seen', name: 'x', plan: 'free' })
              .then(({ accountId }) => accountId),
      ),
    )
    expect(new Set(ids).size).toBe(1)
    expect(await prisma.apiKey.count({ where: { accountId: ids[0] as string } })).toBe(1)
  })

  it('create no key for an account whose plan allows none', async () => {
    const { accounts, catalogue, prisma } = app.services
    await catalogue.savePlan({ slug: 'keyless', name: 'Keyless', maxApiKeys: 0, monthlyCallQuota: null })
    const { accountId, firstSecret } = await accounts.save({
      ...{ externalId: 'keyless', name: 'x', plan: 'keyless' },
    })
    expect(firstSecret).toBeNull()
    expect(await prisma.apiKey.count({ where: { accountId } })).toBe(0)
  })
})

describe.runIf(inject('postgres'))('adding keys on PostgreSQL', () => {
  let storage: TestStorage
  let app: TestApp
  let pool: pg.Pool

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    app = await startApp({ storage })
    pool = connectTo(storage, 8)
  })
  afterAll(async () => {
    await pool.end()
    await app.stop()
    await storage.drop()
  })

  async function accountWithRoomFor(keys: number): Promise<string> {
    const customer = await createCustomer(app, { maxApiKeys: keys + 1 })
    return (await app.services.accounts.find(customer.externalId)) as string
  }

  const liveKeys = (accountId: string) =>
    app.services.prisma.apiKey.count({ where: { accountId, removedAt: null } })

  /** Adds a key as version 0.1 does; `beforeCommit` runs while the account is locked and the key is not visible. */
  async function addAsVersion01(accountId: string, beforeCommit: () => Promise<unknown> = async () => {}) {
    const client = await pool.connect()
    await client.query('begin')
    await client.query('select from account where id = $1 for no key update', [accountId])
    const { rows } = await client.query(
      `select count(*)::int as keys, (select max_api_keys from plan join account on plan.id = plan_id
        where account.id = $1) as most from api_key where account_id = $1 and removed_at is null`,
      [accountId],
    )
    const added = rows[0].keys < rows[0].most
    if (added)
      await client.query(
        `insert into api_key (id, account_id, digest, start, access_mode, created_at)
         values ($1, $2, $3, 'lk_', 'FULL', now())`,
        [uuidv7(), accountId, keyWith({ mode: 'FULL' }).digest],
      )
    await beforeCommit()
    await client.query('commit')
    client.release()
    return added
  }

  it('counts a key that another server commits while this one waits for the account', async () => {
    const accountId = await accountWithRoomFor(1)
    const store = new SqlApiKeyStore(app.services.prisma, pool)
    let waiting: ReturnType<typeof store.add> | undefined
    await addAsVersion01(accountId, async () => {
      waiting = store.add(accountId, keyWith({ mode: 'FULL' }), null)
      await expect
        .poll(async () => {
          const blocked =
            "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%add_restricted_api_key%'"
          return (await pool.query(blocked)).rowCount
        })
        .toBe(1)
    })
    expect(await waiting).toMatchObject({ outcome: 'limit reached', limit: 2 })
    expect(await liveKeys(accountId)).toBe(2)
  })

  it('never exceeds a plan while servers of this version and version 0.1 add keys at once', async () => {
    const accountId = await accountWithRoomFor(7)
    const store = new SqlApiKeyStore(app.services.prisma, pool)
    const added = await Promise.all(
      Array.from({ length: 24 }, async (_, i) =>
        i % 2
          ? addAsVersion01(accountId)
          : (await store.add(accountId, keyWith({ mode: 'FULL' }), null)).outcome === 'added',
      ),
    )
    expect(added.filter(Boolean)).toHaveLength(7)
    expect(await liveKeys(accountId)).toBe(8)
  })

  it('leaves one of two accesses that are set at once, never a mixture', async () => {
    const accountId = await accountWithRoomFor(1)
    const store = new SqlApiKeyStore(app.services.prisma, pool)
    const key = keyWith({ mode: 'FULL' })
    await store.add(accountId, key, null)
    const accesses = [
      { apiCalls: ['v3.account.limits', 'v3.ping'], ids: ['1', '2', '3'], networks: ['192.0.2.0/24'] },
      { apiCalls: ['v3.account.activity-log'], ids: ['3', '4'], networks: ['198.51.100.0/24', '::1/128'] },
    ]
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        [...accesses, ...accesses].map(({ apiCalls, ids, networks }) =>
          store.setAccess(
            { accountId },
            key.id,
            { mode: 'RESTRICTED', apiCalls },
            { resources: [{ type: 'monitor', ids }], allowedNetworks: networks },
          ),
        ),
      )
      const row = await app.services.prisma.apiKey.findUniqueOrThrow({
        where: { id: key.id },
        include: { apiCalls: { include: { apiCall: true } }, resources: true },
      })
      expect(accesses).toContainEqual({
        apiCalls: row.apiCalls.map(({ apiCall }) => apiCall.name).sort(),
        ids: row.resources.map(({ resourceId }) => resourceId).sort(),
        networks: row.allowedNetworks.map((network) => (network === '::1' ? '::1/128' : network)),
      })
    }
  })

  it('refuses an account that does not exist, and one with a plan that does not', async () => {
    const { prisma } = app.services
    const keys = new SqlApiKeyStore(prisma, pool)
    expect(await keys.add(uuidv7(), keyWith({ mode: 'FULL' }), null)).toEqual({ outcome: 'no account' })
    const accounts = new SqlAccountStore(prisma, pool)
    const account = { externalId: 'planless', name: 'x', plan: 'no-such-plan' }
    expect(await accounts.create(uuidv7(), account, keyWith({ mode: 'FULL' }), new Date())).toEqual({
      outcome: 'no plan',
    })
    expect(await accounts.update(account)).toBeNull()
  })
})
