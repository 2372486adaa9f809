import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databases, startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import {
  ConfigureApiKeyAccess,
  MeterApiCalls,
  RegenerateApiKey,
  RemoveApiKey,
} from '../support/operations.ts'

describe.each(databases)('metering on %s', (database) => {
  let app: TestApp
  let gateway: Awaited<ReturnType<typeof createGateway>>

  beforeAll(async () => {
    app = await startApp({ database })
    gateway = await createGateway(app)
  })
  afterAll(() => app.stop())

  it('admits a call, counts it, and returns the totals including it', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 10 })
    const { secret, apiKey } = await customer.addApiKey()
    await gateway.meter(secret)
    expect(await gateway.meter(secret)).toMatchObject({
      admitted: true,
      code: 'ADMITTED',
      apiKeyId: apiKey.id,
      accountExternalId: customer.externalId,
      apiKeyCalls: 2,
      accountUsage: { calls: 2, quota: 10, remaining: 8 },
    })
    const { usage, apiKeys } = await customer.account()
    expect(usage.calls).toBe(2)
    expect(apiKeys.nodes.find(({ id }) => id === apiKey.id)?.usage.calls).toBe(2)
  })

  it('admits exactly the quota, whatever the concurrency', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 150 })
    const keys = await Promise.all([customer.addApiKey(), customer.addApiKey(), customer.addApiKey()])
    const calls = Array.from({ length: 400 }, (_, index) => gateway.meter(keys[index % 3]?.secret ?? ''))
    const decisions = await Promise.all(calls)
    const admitted = decisions.filter((decision) => decision.admitted)
    expect(admitted).toHaveLength(150)
    expect(new Set(admitted.map(({ accountUsage }) => accountUsage?.calls)).size).toBe(150)
    for (const { code, accountUsage } of decisions) {
      if (code === 'QUOTA_EXCEEDED') expect(accountUsage).toMatchObject({ calls: 150, remaining: 0 })
      else expect(code).toBe('ADMITTED')
    }
    expect((await customer.account()).usage).toMatchObject({ calls: 150, remaining: 0 })
  })

  it('admits the first calls of a list that exceeds the quota, in order', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 3 })
    const [a, b] = [await customer.addApiKey(), await customer.addApiKey()]
    const calls = [a, b, a, b, a].map(({ secret }) => ({ secret, apiCall: 'v3.ping' }))
    const { data } = await app.query(MeterApiCalls, { as: gateway.token, variables: { calls } })
    expect(data.meterApiCalls.decisions.map(({ code, apiKeyCalls }) => [code, apiKeyCalls])).toEqual([
      ['ADMITTED', 1],
      ['ADMITTED', 1],
      ['ADMITTED', 2],
      ['QUOTA_EXCEEDED', 1],
      ['QUOTA_EXCEEDED', 2],
    ])
  })

  it('checks in this order: key, API call, access, quota', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 0 })
    const restricted = await customer.addApiKey({ access: { mode: 'RESTRICTED', apiCalls: ['v3.ping'] } })
    const codeOf = async (secret: string, apiCall: string) => (await gateway.meter(secret, apiCall)).code
    expect(await codeOf('nonsense', 'nonsense')).toBe('KEY_INVALID')
    expect(await codeOf(restricted.secret, 'v3.nonsense')).toBe('API_CALL_UNKNOWN')
    expect(await codeOf(restricted.secret, 'v3.nonsense\u0000')).toBe('API_CALL_UNKNOWN')
    expect(await codeOf(restricted.secret, '')).toBe('API_CALL_UNKNOWN')
    expect(await codeOf(restricted.secret, 'v3.account.limits')).toBe('ACCESS_DENIED')
    expect(await codeOf(restricted.secret, 'v3.ping')).toBe('QUOTA_EXCEEDED')
    expect((await customer.account()).usage.calls).toBe(0)
  })

  it('gives a denied call the message of the contract', async () => {
    const customer = await createCustomer(app, {})
    const { secret } = await customer.addApiKey({ access: { mode: 'RESTRICTED', apiCalls: [] } })
    expect(await gateway.meter(secret)).toMatchObject({
      code: 'ACCESS_DENIED',
      message: 'api key does not have access to perform this api call',
      apiKeyCalls: 0,
    })
  })

  it('applies a change of a key to the next call', async () => {
    const customer = await createCustomer(app, {})
    const { secret, apiKey } = await customer.addApiKey()
    const change = async (document: never, variables: object) =>
      void (await app.query(document, { as: customer.token, variables: variables as never }))
    await gateway.meter(secret)
    await change(ConfigureApiKeyAccess as never, {
      id: apiKey.id,
      access: { mode: 'RESTRICTED', apiCalls: [] },
    })
    expect((await gateway.meter(secret)).code).toBe('ACCESS_DENIED')
    await change(ConfigureApiKeyAccess as never, { id: apiKey.id, access: { mode: 'FULL' } })
    expect((await gateway.meter(secret)).code).toBe('ADMITTED')
    const { data } = await app.query(RegenerateApiKey, { as: customer.token, variables: { id: apiKey.id } })
    if (data.regenerateApiKey.__typename !== 'RegenerateApiKeyPayload') throw new Error('not regenerated')
    expect((await gateway.meter(secret)).code).toBe('KEY_INVALID')
    expect(await gateway.meter(data.regenerateApiKey.secret)).toMatchObject({
      code: 'ADMITTED',
      apiKeyCalls: 3,
    })
    await change(RemoveApiKey as never, { id: apiKey.id })
    expect((await gateway.meter(data.regenerateApiKey.secret)).code).toBe('KEY_INVALID')
    expect((await customer.account()).usage.calls).toBe(3)
  })

  it('resets every count and quota at 00:00:00 UTC on the 1st', async () => {
    const clock = app.clock
    clock.set(new Date('2026-12-31T23:59:58.000Z'))
    const customer = await createCustomer(app, { monthlyCallQuota: 1 })
    const { secret } = await customer.addApiKey()
    expect((await gateway.meter(secret)).accountUsage).toMatchObject({
      month: '2026-12',
      resetsAt: '2027-01-01T00:00:00.000Z',
    })
    expect((await gateway.meter(secret)).code).toBe('QUOTA_EXCEEDED')
    clock.set(new Date('2027-01-01T00:00:00.000Z'))
    expect(await gateway.meter(secret)).toMatchObject({
      code: 'ADMITTED',
      apiKeyCalls: 1,
      accountUsage: { month: '2027-01', calls: 1, remaining: 0 },
    })
    expect((await customer.account('2026-12')).usage).toMatchObject({ month: '2026-12', calls: 1 })
    clock.set(new Date())
  })

  it('accepts up to 1,000 calls at once, and none of a longer list', async () => {
    const customer = await createCustomer(app, {})
    const { secret } = await customer.addApiKey()
    const callsOf = (count: number) => Array.from({ length: count }, () => ({ secret, apiCall: 'v3.ping' }))
    const taken = await app.query(MeterApiCalls, { as: gateway.token, variables: { calls: callsOf(1_000) } })
    expect(taken.data.meterApiCalls.decisions.map(({ apiKeyCalls }) => apiKeyCalls)).toEqual(
      Array.from({ length: 1_000 }, (_, index) => index + 1),
    )
    const refused = await app.query(MeterApiCalls, {
      as: gateway.token,
      variables: { calls: callsOf(1_001) },
    })
    expect(refused.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
    expect((await customer.account()).usage.calls).toBe(1_000)
  })
})
