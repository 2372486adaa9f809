import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { digestOf } from '../../src/domain/secret.ts'
import { SqlUsageStore } from '../../src/storage/usage-store.ts'
import { connectTo, createStorage, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { Random } from '../support/random.ts'

const withoutDetails = { address: null, resourceType: null, resourceId: null, requestId: null }
/** A signal that never aborts. */
const inTime = new AbortController().signal

describe.runIf(inject('postgres'))('charging on PostgreSQL', () => {
  let storage: TestStorage
  let app: TestApp
  let secrets: string[]
  const pools: pg.Pool[] = []

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    app = await startApp({ storage })
    secrets = []
    for (let i = 0; i < 12; i++) {
      const customer = await createCustomer(app, { monthlyCallQuota: 2_000 })
      for (let key = 0; key < 3; key++) secrets.push((await customer.addApiKey()).secret)
    }
    for (let i = 0; i < 3; i++) pools.push(connectTo(storage, 4))
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await app.stop()
    await storage.drop()
  })

  it('never deadlocks while batches of several servers overlap, and uses each quota exactly', async () => {
    const random = new Random(7)
    const stores = pools.map((pool) => new SqlUsageStore(pool, pool))
    const at = new Date('2026-05-05T05:05:05Z')
    const admitted = new Map<string, number>()
    const server = async (store: SqlUsageStore) => {
      for (let batch = 0; batch < 60; batch++) {
        const groups = Array.from({ length: 20 }, () => ({
          digest: digestOf(random.pick(secrets)),
          apiCall: 'v3.ping',
          calls: random.int(1, 30),
          ...withoutDetails,
        }))
        const charge = await store.charge('2026-05', at, groups, inTime)
        for (const [index, { calls }] of groups.entries()) {
          const verdict = charge.verdicts[index]
          if (verdict && charge.accounts.get(verdict.accountId)?.charged)
            admitted.set(verdict.accountId, (admitted.get(verdict.accountId) ?? 0) + calls)
        }
      }
    }
    await Promise.all(stores.flatMap((store) => [server(store), server(store), server(store)]))
    const rows = await app.services.prisma.accountUsage.findMany({ where: { month: new Date('2026-05-01') } })
    expect(new Map(rows.map(({ accountId, calls }) => [accountId, Number(calls)]))).toEqual(admitted)
    for (const { calls } of rows) expect(Number(calls)).toBeLessThanOrEqual(2_000)
    const keys = await app.services.prisma.apiKeyUsage.aggregate({
      where: { month: new Date('2026-05-01') },
      _sum: { calls: true },
    })
    expect(Number(keys._sum.calls)).toBe([...admitted.values()].reduce((sum, calls) => sum + calls, 0))
  })

  it('charges all calls of an account that fit and none of one whose calls do not, in one commit', async () => {
    const [store] = pools.map((pool) => new SqlUsageStore(pool, pool))
    const at = new Date('2026-06-06T06:06:06Z')
    const groupOf = (secret: string | undefined, calls: number) => ({
      digest: digestOf(secret ?? ''),
      apiCall: 'v3.ping',
      calls,
      ...withoutDetails,
    })
    const charge = await store?.charge(
      '2026-06',
      at,
      [
        groupOf(secrets[0], 1_500),
        groupOf(secrets[1], 501),
        groupOf(secrets[3], 2_000),
        groupOf('never issued', 1),
      ],
      inTime,
    )
    expect(charge?.verdicts.map((verdict) => verdict?.verdict)).toEqual([
      'allowed',
      'allowed',
      'allowed',
      undefined,
    ])
    expect([...(charge?.accounts.values() ?? [])].map(({ charged, calls }) => [charged, calls])).toEqual(
      expect.arrayContaining([
        [false, 0],
        [true, 2_000],
      ]),
    )
    expect([...(charge?.apiKeyCalls.values() ?? [])].sort()).toEqual([0, 0, 2_000])
  })
})
