import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import type { MeterApiCallInput } from '../support/generated/graphql.ts'
import { MeteredKeys } from '../support/metered-keys.ts'
import { MeterApiCallFully, MeterApiCalls } from '../support/operations.ts'

const noon = new Date('2026-11-15T12:00:00.000Z')

describe('meterApiCall', () => {
  let app: TestApp
  let keys: MeteredKeys
  let gateway: string

  beforeAll(async () => {
    app = await startApp()
    app.clock.freeze(noon)
    keys = new MeteredKeys(app)
    gateway = await app.token({ scopes: ['calls:meter'] })
  })
  afterAll(() => app.stop())

  const meter = (input: Partial<MeterApiCallInput> & { secret: string }) =>
    app.query(MeterApiCallFully, { as: gateway, variables: { input: { apiCall: 'v3.ping', ...input } } })

  it('tells all about a decision, interpreted and compiled alike', async () => {
    const { id, secret } = await keys.key({
      ...{ rateCalls: 30, ratePerSeconds: 60, restrictsResources: true, allowedNetworks: ['192.0.2.0/24'] },
    })
    const rows = [
      { apiKeyId: id, type: 'monitor', resourceId: '7' },
      { apiKeyId: id, type: 'page', resourceId: '' },
    ]
    await app.services.prisma.apiKeyResource.createMany({ data: rows })
    const call = { secret, clientIp: '::ffff:192.0.2.9', resource: { type: 'monitor', id: '7' } }
    // An operation is compiled at its 20th run.
    for (let run = 1; run <= 30; run++)
      expect((await meter({ ...call, requestId: `run ${run}` })).data.meterApiCall).toEqual({
        ...{
          code: 'ADMITTED',
          message: 'api call admitted',
          retryAt: null,
          replayed: false,
          previousSecret: false,
        },
        rateLimits: [
          {
            ...{ scope: 'API_KEY', calls: 30, perSeconds: 60, remaining: 30 - run },
            resetsAt: new Date(noon.getTime() + run * 2_000).toISOString(),
          },
        ],
        allowedResources: [
          { type: 'monitor', ids: ['7'] },
          { type: 'page', ids: null },
        ],
      })
    expect((await meter({ ...call, requestId: 'run 1' })).data.meterApiCall).toMatchObject({
      ...{ code: 'ADMITTED', replayed: true, rateLimits: [] },
    })
    const retryAt = '2026-11-15T12:00:02.000Z'
    expect((await meter(call)).data.meterApiCall).toMatchObject({
      ...{ code: 'RATE_LIMITED', message: `too many api calls, try again after ${retryAt}`, retryAt },
      ...{ replayed: false, allowedResources: [] },
    })
    expect((await meter({ secret: 'nonsense' })).data.meterApiCall).toEqual({
      ...{ code: 'KEY_INVALID', message: 'api key is not valid', retryAt: null, replayed: false },
      ...{ previousSecret: false, rateLimits: [], allowedResources: [] },
    })
  })

  it.each([
    [{ requestId: '' }, ['input', 'requestId']],
    [{ requestId: 'x'.repeat(65) }, ['input', 'requestId']],
    [{ requestId: 'a\u0000b' }, ['input', 'requestId']],
    [{ resource: { type: '' } }, ['input', 'resource', 'type']],
    [{ resource: { type: 'x'.repeat(65) } }, ['input', 'resource', 'type']],
    [{ resource: { type: 'a', id: '' } }, ['input', 'resource', 'id']],
    [{ resource: { type: 'a', id: 'x'.repeat(257) } }, ['input', 'resource', 'id']],
    [{ resource: { type: 'a', id: '\ud800' } }, ['input', 'resource', 'id']],
  ])('refuses %j, names the field, and counts nothing', async (input, path) => {
    const { id, secret } = await keys.key()
    const single = await meter({ secret, ...input })
    expect(single.errors?.map(({ extensions }) => [extensions.code, extensions.issues])).toEqual([
      ['BAD_USER_INPUT', [{ path, message: expect.any(String) }]],
    ])
    const calls = [
      { secret, apiCall: 'v3.ping' },
      { secret, apiCall: 'v3.ping', ...input },
    ]
    const { errors } = await app.query(MeterApiCalls, { as: gateway, variables: { calls } })
    expect(errors?.[0]?.extensions.issues).toEqual([
      { path: ['input', 'calls', '1', ...path.slice(1)], message: expect.any(String) },
    ])
    expect(await app.services.prisma.apiKeyUsage.count({ where: { apiKeyId: id } })).toBe(0)
  })

  it('takes 64 characters of any script for a requestId', async () => {
    const { secret } = await keys.key()
    const { data } = await meter({ secret, requestId: '🔑'.repeat(64) })
    expect(data.meterApiCall.code).toBe('ADMITTED')
  })

  it('judges a batch again if an account in it is removed at the same time', async () => {
    const { prisma } = app.services
    const [gone, staying] = [await keys.key(), await keys.key()]
    // Counting waits for this transaction, which removes the first key's account.
    let finish: (() => void) | undefined
    const removing = prisma.$transaction(
      async (tx) => {
        await tx.$queryRaw`select from account where id = ${gone.accountId}::uuid for update`
        await tx.$queryRaw`select from api_key where id = ${gone.id}::uuid for update`
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        await tx.apiKey.delete({ where: { id: gone.id } })
        await tx.account.delete({ where: { id: gone.accountId } })
      },
      { timeout: 20_000 },
    )
    while (!finish) await new Promise((resolve) => setImmediate(resolve))
    const metering = keys.meter([gone, staying, gone].map(({ secret }) => ({ secret, apiCall: 'v3.ping' })))
    const waiting = () => app.sql<{ n: number }>('select count(*)::int as n from pg_locks where not granted')
    while ((await waiting())[0]?.n === 0);
    finish()
    await removing
    expect((await metering).map(({ code }) => code)).toEqual(['KEY_INVALID', 'ADMITTED', 'KEY_INVALID'])
  })

  it('shows a key’s own limit and what is left of it', async () => {
    const { id, accountId, secret } = await keys.key({ monthlyCallLimit: 5 })
    await keys.decide(secret)
    const { externalId } = await app.services.prisma.account.findUniqueOrThrow({ where: { id: accountId } })
    const customer = await app.token({ account: externalId, scopes: ['keys:read'] })
    const { data } = await app.query<{ account: { apiKeys: { nodes: object[] } } }, object>(
      `{ account { apiKeys { nodes { usage { calls limit remaining } past: usage(month: "2026-01") { limit }
          usageHistory(months: 2) { limit remaining } } } } }`,
      { as: customer },
    )
    expect(data.account.apiKeys.nodes).toEqual([
      {
        usage: { calls: 1, limit: 5, remaining: 4 },
        past: { limit: null },
        usageHistory: [
          { limit: 5, remaining: 4 },
          { limit: null, remaining: null },
        ],
      },
    ])
    const watcher = app.services.liveUsage.watch({ accountId })
    const next = async () => (await watcher.next()).value?.apiKeys.map(({ calls, limit }) => [calls, limit])
    expect(await next()).toEqual([[1, 5]])
    await keys.decide(secret)
    expect(await next()).toEqual([[2, 5]])
    await keys.change(id, { monthlyCallLimit: 9 })
    app.services.liveUsage.accountChanged(accountId)
    expect(await next()).toEqual([[2, 9]])
    await watcher.return?.()
  })
})
