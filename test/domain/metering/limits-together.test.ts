import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Decision, MeteredCall } from '../../../src/domain/metering/decision.ts'
import { Meter } from '../../../src/domain/metering/meter.ts'
import { SqlUsageStore } from '../../../src/storage/usage-store.ts'
import { connectTo, createStorage, startApp, type TestApp, type TestStorage } from '../../support/app.ts'
import { type MeteredKey, MeteredKeys } from '../../support/metered-keys.ts'
import { Random } from '../../support/random.ts'

const [x, y] = ['v3.ping', 'v3.account.limits'] as const

describe.runIf(inject('postgres'))('limits on three servers', () => {
  let storage: TestStorage
  let app: TestApp
  let keys: MeteredKeys
  let meters: Meter[]
  const pools: pg.Pool[] = []

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    app = await startApp({ storage })
    app.clock.freeze(new Date('2026-11-15T12:00:00.000Z'))
    keys = new MeteredKeys(app)
    meters = [0, 1, 2].map(() => {
      const pool = connectTo(storage, 2)
      pools.push(pool)
      const store = new SqlUsageStore(pool, pool)
      const told = { counted: () => {}, inDoubt: () => {} }
      return new Meter({
        store,
        clock: app.clock,
        prefix: 'lk',
        timeoutMs: 60_000,
        ...told,
        maxWaitMs: 60_000,
      })
    })
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await app.stop()
    await storage.drop()
  })

  /** Spreads the calls over the meters, in requests of up to 50. */
  async function meterEverywhere(calls: MeteredCall[], random: Random): Promise<[MeteredCall, Decision][]> {
    const requests: Promise<[MeteredCall, Decision][]>[] = []
    for (let from = 0; from < calls.length; ) {
      const request = calls.slice(from, from + random.int(1, 50))
      from += request.length
      const decisions = random.pick(meters).admit(request)
      requests.push(decisions.then((of) => of.map((one, at) => [request[at] as MeteredCall, one])))
      if (requests.length % 20 === 0) await requests[random.int(0, requests.length - 1)]
    }
    return (await Promise.all(requests)).flat()
  }

  it('hold together exactly through 10,000 calls at once', async () => {
    const random = new Random(11)
    const { prisma } = app.services
    const accountId = await keys.account({ monthlyCallQuota: 1_500, rateCalls: 2_700, ratePerSeconds: 60 })
    const [a, b, c] = [
      await keys.key({ accountId, rateCalls: 700, ratePerSeconds: 86_400 }),
      await keys.key({ accountId, monthlyCallLimit: 900 }),
      await keys.key({ accountId }),
    ]
    await prisma.apiCall.update({ where: { name: x }, data: { rateCalls: 400, ratePerSeconds: 3_600 } })
    let sent = 0
    const someCalls = (count: number) =>
      Array.from({ length: count }, () => ({
        secret: random.pick([a, b, c]).secret,
        apiCall: random.chance(0.3) ? x : y,
        requestId: random.chance(0.3) ? `call ${++sent}` : undefined,
      }))
    const admitted = (await meterEverywhere(someCalls(4_000), random)).filter(
      ([, { code }]) => code === 'ADMITTED',
    )
    expect(admitted).toHaveLength(1_500)
    await prisma.plan.update({ where: { id: accountId }, data: { monthlyCallQuota: null } })
    admitted.push(
      ...(await meterEverywhere(someCalls(6_000), random)).filter(([, { code }]) => code === 'ADMITTED'),
    )
    const callsOf = (of: (call: MeteredCall) => boolean) => admitted.filter(([call]) => of(call)).length
    expect(callsOf(() => true)).toBe(2_700)
    expect(callsOf(({ secret }) => secret === a.secret)).toBe(700)
    expect(callsOf(({ secret }) => secret === b.secret)).toBe(900)
    expect(callsOf(({ apiCall }) => apiCall === x)).toBe(400)
    const stored = await prisma.apiKeyUsage.findMany({ where: { apiKey: { accountId } } })
    const storedOf = (id: string) => Number(stored.find(({ apiKeyId }) => apiKeyId === id)?.calls)
    expect([a, b, c].map(({ id }) => storedOf(id))).toEqual([700, 900, 1_100])
    const month = await prisma.accountUsage.findFirstOrThrow({ where: { accountId } })
    expect(Number(month.calls)).toBe(2_700)
    const totals = admitted.map(([, one]) => 'account' in one && one.account.calls)
    expect(new Set(totals).size).toBe(2_700)
    const requests = await prisma.meteredRequest.count({ where: { apiKeyId: { in: [a.id, b.id, c.id] } } })
    expect(requests).toBe(callsOf(({ requestId }) => requestId !== undefined))
    await prisma.apiCall.update({ where: { name: x }, data: { rateCalls: null, ratePerSeconds: null } })
  })

  it('count each requestId once, whichever server it is sent to, and however often', async () => {
    const random = new Random(12)
    const accountId = await keys.account()
    const pair = [await keys.key({ accountId }), await keys.key({ accountId })]
    const calls = Array.from({ length: 2_000 }, () => ({
      secret: random.pick(pair).secret,
      apiCall: y,
      requestId: `call ${random.int(1, 100)}`,
    }))
    const decisions = await meterEverywhere(calls, random)
    expect(decisions.filter(([, { code }]) => code !== 'ADMITTED')).toEqual([])
    const counted = decisions.filter(([, one]) => 'replayed' in one && !one.replayed)
    expect(counted).toHaveLength(200)
    expect(new Set(counted.map(([{ secret, requestId }]) => `${secret} ${requestId}`)).size).toBe(200)
    const month = await app.services.prisma.accountUsage.findFirstOrThrow({ where: { accountId } })
    expect(Number(month.calls)).toBe(200)
  })

  it('never deadlock, with plain and limited keys of many accounts in every batch', async () => {
    const random = new Random(13)
    const everyKey: MeteredKey[] = []
    for (let account = 0; account < 20; account++) {
      const accountId = await keys.account({
        rateCalls: account % 3 === 0 ? 1_000_000 : null,
        ratePerSeconds: account % 3 === 0 ? 60 : null,
      })
      everyKey.push(await keys.key({ accountId }), await keys.key({ accountId, monthlyCallLimit: 1_000_000 }))
    }
    const calls = Array.from({ length: 4_000 }, (_, index) => ({
      secret: random.pick(everyKey).secret,
      apiCall: y,
      requestId: random.chance(0.2) ? `call ${index}` : undefined,
    }))
    const decisions = await meterEverywhere(calls, random)
    expect(decisions.filter(([, { code }]) => code !== 'ADMITTED')).toEqual([])
    const keyCalls = await app.services.prisma.apiKeyUsage.aggregate({
      where: { apiKeyId: { in: everyKey.map(({ id }) => id) } },
      _sum: { calls: true },
    })
    expect(Number(keyCalls._sum.calls)).toBe(4_000)
    const [deadlocks] = await app.sql<{ count: bigint }>(
      'select deadlocks as count from pg_stat_database where datname = current_database()',
    )
    expect(Number(deadlocks?.count)).toBe(0)
  })
})
