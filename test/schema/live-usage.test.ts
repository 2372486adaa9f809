import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { idOf } from '../../src/schema/global-id.ts'
import { databases, startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import {
  ConfigureApiKeyAccess,
  MeterApiCalls,
  RegenerateApiKey,
  RemoveApiKey,
  RevokePreviousSecret,
  SaveAccount,
  SavePlan,
  SetApiKeyEnabled,
  SetApiKeyExpiry,
  SetApiKeyLimits,
  SetApiKeyNote,
} from '../support/operations.ts'
import { LiveUsageWatcher, liveUsageDocument, webSocketClient } from '../support/websocket.ts'

describe.each(databases)('live usage on %s', (database) => {
  let app: TestApp
  let gateway: Awaited<ReturnType<typeof createGateway>>
  const watchers: LiveUsageWatcher[] = []

  beforeAll(async () => {
    app = await startApp({ database })
    gateway = await createGateway(app)
  })
  afterAll(async () => {
    for (const watcher of watchers) await watcher.close()
    await app.stop()
  })

  function watch(customer: Customer, variables = {}): LiveUsageWatcher {
    const watcher = new LiveUsageWatcher(app, customer.token, variables)
    watchers.push(watcher)
    return watcher
  }

  it('starts with a snapshot of every key and continues with the keys whose count changed', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 100 })
    const [called, silent] = [await customer.addApiKey(), await customer.addApiKey()]
    await gateway.meter(called.secret)
    const watcher = watch(customer)
    await watcher.until(({ events }) => events.length === 1)
    expect(watcher.events[0]).toMatchObject({
      snapshot: true,
      account: { calls: 1, quota: 100, remaining: 99 },
    })
    expect(watcher.counts.get(called.apiKey.id)).toBe(1)
    expect(watcher.counts.get(silent.apiKey.id)).toBe(0)
    expect(watcher.events[0]?.apiKeys).toHaveLength(3)

    await gateway.meter(called.secret)
    await watcher.until(({ events }) => events.length === 2)
    expect(watcher.events[1]).toMatchObject({
      snapshot: false,
      account: { calls: 2 },
      apiKeys: [{ apiKeyId: called.apiKey.id, calls: 2 }],
    })
    expect(watcher.events[1]?.apiKeys[0]?.lastCallAt).not.toBeNull()
  })

  it('ends at the stored counts, in fewer events than calls', async () => {
    const customer = await createCustomer(app, {})
    const keys = await Promise.all([customer.addApiKey(), customer.addApiKey()])
    const watcher = watch(customer)
    await watcher.until(({ events }) => events.length > 0)
    await Promise.all(Array.from({ length: 200 }, (_, i) => gateway.meter(keys[i % 2]?.secret ?? '')))
    await watcher.until(({ events }) => events.at(-1)?.account.calls === 200)
    expect(keys.map(({ apiKey }) => watcher.counts.get(apiKey.id))).toEqual([100, 100])
    const totals = watcher.events.map(({ account }) => account.calls)
    expect(totals).toEqual([...totals].sort((a, b) => a - b))
    expect(watcher.events.length).toBeLessThan(200)
  })

  it('sends a fresh snapshot when a key is added, noted, restricted, regenerated or removed', async () => {
    const customer = await createCustomer(app, {})
    const { apiKey, secret } = await customer.addApiKey()
    await gateway.meter(secret)
    const watcher = watch(customer)
    await watcher.until(({ events }) => events.length > 0)
    const { id } = apiKey
    const changes: [string, () => Promise<unknown>][] = [
      ['note', () => app.query(SetApiKeyNote, { as: customer.token, variables: { id, note: 'new' } })],
      [
        'access',
        () =>
          app.query(ConfigureApiKeyAccess, {
            as: customer.token,
            variables: { id, access: { mode: 'FULL' } },
          }),
      ],
      ['secret', () => app.query(RegenerateApiKey, { as: customer.token, variables: { id } })],
      ['overlap', () => app.query(RevokePreviousSecret, { as: customer.token, variables: { id } })],
      ['off', () => app.query(SetApiKeyEnabled, { as: customer.token, variables: { id, enabled: false } })],
      ['expiry', () => app.query(SetApiKeyExpiry, { as: customer.token, variables: { id } })],
      ['limits', () => app.query(SetApiKeyLimits, { as: customer.token, variables: { input: { id } } })],
      ['another key', () => customer.addApiKey()],
      ['removal', () => app.query(RemoveApiKey, { as: customer.token, variables: { id } })],
    ]
    for (const [what, change] of changes) {
      const before = watcher.events.length
      await change()
      await watcher.until(({ events }) => events.length > before)
      expect(watcher.events.at(-1)?.snapshot, what).toBe(true)
    }
    expect(watcher.counts.has(id)).toBe(false)
    expect(watcher.counts.size).toBe(2)
    expect(watcher.events.at(-1)?.account.calls).toBe(1)
  })

  it('reports a new quota when the plan changes or the account changes plans', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 10 })
    const operator = await app.token({ scopes: ['admin'] })
    const watcher = watch(customer)
    await watcher.until(({ events }) => events.at(-1)?.account.quota === 10)
    const slug = `plan-of-${customer.externalId}`
    const plan = { slug, name: 'Plan', maxApiKeys: 3, monthlyCallQuota: 20 }
    await app.query(SavePlan, { as: operator, variables: { input: plan } })
    await watcher.until(({ events }) => events.at(-1)?.account.quota === 20)
    const account = { externalId: customer.externalId, name: 'x', plan: 'enterprise' }
    await app.query(SaveAccount, { as: operator, variables: { input: account } })
    await watcher.until(({ events }) => events.at(-1)?.account.quota === 50_000)
  })

  it('reports only the requested keys, and the whole account', async () => {
    const customer = await createCustomer(app, {})
    const [asked, other] = [await customer.addApiKey(), await customer.addApiKey()]
    const watcher = watch(customer, { apiKeyIds: [asked.apiKey.id, 'nonsense'] })
    await watcher.until(({ events }) => events.length === 1)
    await gateway.meter(other.secret)
    await watcher.until(({ events }) => events.at(-1)?.account.calls === 1)
    await gateway.meter(asked.secret)
    await watcher.until(({ counts }) => counts.get(asked.apiKey.id) === 1)
    expect([...watcher.counts.keys()]).toEqual([asked.apiKey.id])
  })

  it('resets every count when the month changes, without a call', async () => {
    const clock = app.clock
    clock.set(new Date('2027-01-31T23:59:30Z'))
    const customer = await createCustomer(app, { monthlyCallQuota: 5 })
    const { secret, apiKey } = await customer.addApiKey()
    const watcher = watch(customer)
    await gateway.meter(secret)
    await watcher.until(({ counts }) => counts.get(apiKey.id) === 1)
    clock.set(new Date('2027-02-01T00:00:00Z'))
    await watcher.until(({ events }) => events.at(-1)?.month === '2027-02')
    expect(watcher.events.at(-1)).toMatchObject({
      snapshot: true,
      account: { calls: 0, remaining: 5, resetsAt: '2027-03-01T00:00:00.000Z' },
    })
    expect(watcher.counts.get(apiKey.id)).toBe(0)
    await gateway.meter(secret)
    await watcher.until(({ counts }) => counts.get(apiKey.id) === 1)
    clock.set(new Date())
  })

  it('sends a stalled reader the newest counts when it reads again, not those in between', async () => {
    const customer = await createCustomer(app, {})
    const { secret, apiKey } = await customer.addApiKey()
    const accountId = await app.services.accounts.findOrCreate(customer.externalId)
    const events = app.services.liveUsage.watch({ accountId })
    expect((await events.next()).value).toMatchObject({ snapshot: true })
    const calls = Array.from({ length: 50 }, () => ({ secret, apiCall: 'v3.ping' }))
    for (let i = 0; i < 20; i++) await app.query(MeterApiCalls, { as: gateway.token, variables: { calls } })
    const seen: number[] = []
    while (seen.at(-1) !== 1_000) seen.push((await events.next()).value?.account.calls ?? 0)
    expect(seen.length).toBeLessThanOrEqual(2)
    await events.return?.()
    expect((await customer.account()).apiKeys.nodes.find(({ id }) => id === apiKey.id)?.usage.calls).toBe(
      1_000,
    )
  })

  it('sends an account with 1,200 keys its list in three events, and the count of each of them', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 2_000 })
    const { apiKey, secret } = await customer.addApiKey()
    await app.sql(
      `insert into api_key (id, account_id, digest, start, access_mode, created_at)
       select gen_random_uuid(), account_id, sha256((id || n)::text::bytea), start, access_mode, created_at
       from (select k.id::text as id, n, account_id, start, access_mode, created_at
         from api_key k, generate_series(1, 1198) n where k.id = $1::uuid) as made`,
      idOf('ApiKey', apiKey.id),
    )
    const watcher = watch(customer)
    await watcher.until(({ events }) => events.at(-1)?.complete === true)
    expect(
      watcher.events.map(({ snapshot, complete, apiKeys }) => [snapshot, complete, apiKeys.length]),
    ).toEqual([
      [true, false, 500],
      [false, false, 500],
      [false, true, 200],
    ])
    expect(watcher.counts.size).toBe(1_200)
    await gateway.meter(secret)
    await watcher.until(({ counts }) => counts.get(apiKey.id) === 1)
  })

  it('lets an operator watch any account, and asks for one if none is named', async () => {
    const customer = await createCustomer(app, {})
    const { id: accountId } = await customer.account()
    const operator = await app.token({ scopes: ['admin'] })
    const watcher = watch({ ...customer, token: operator }, { accountId })
    await watcher.until(({ events }) => events[0]?.snapshot === true)
    const lost = watch({ ...customer, token: operator })
    await lost.until(({ errors }) => errors.length > 0)
    expect(JSON.stringify(lost.errors)).toContain('BAD_USER_INPUT')
  })

  it('ends when its token expires', async () => {
    const customer = await createCustomer(app, {})
    const token = await app.token({ account: customer.externalId, scopes: ['keys:read'], lifetime: '1h' })
    const client = webSocketClient(app, token)
    const closed = new Promise<{ code: number }>((resolve) =>
      client.on('closed', (event) => resolve(event as never)),
    )
    const first = client.iterate({ query: liveUsageDocument })
    await first.next()
    app.clock.set(new Date(Date.now() + 3_600_000))
    expect((await closed).code).toBe(4403)
    app.clock.set(new Date())
    await client.dispose()
  })
})
