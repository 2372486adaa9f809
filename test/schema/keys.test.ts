import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isWellFormedSecret } from '../../src/domain/secret.ts'
import { databasesInTurn, startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import {
  AddApiKey,
  ConfigureApiKeyAccess,
  RegenerateApiKey,
  RemoveApiKey,
  SetApiKeyNote,
} from '../support/operations.ts'

describe.each(databasesInTurn)('keys on %s', (database) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ database })
  })
  afterAll(() => app.stop())

  it('gives a new account its first key, on the default plan', async () => {
    const account = await (await createCustomer(app)).account()
    expect(account).toMatchObject({
      plan: { slug: 'free', maxApiKeys: 2, monthlyCallQuota: 1000 },
      apiKeysRemaining: 1,
      usage: { calls: 0, quota: 1000, remaining: 1000 },
    })
    expect(account.name).toBe(account.externalId)
    expect(account.apiKeys.nodes).toMatchObject([{ note: null, access: { mode: 'FULL', apiCalls: [] } }])
  })

  it('shows the secret when a key is added, and again on the page', async () => {
    const customer = await createCustomer(app)
    const { secret, apiKey } = await customer.addApiKey({ note: '  production \u{1F680} ' })
    expect(isWellFormedSecret(secret)).toBe(true)
    expect(secret).toMatch(/^lk_[0-9A-Za-z]{38}$/)
    expect(apiKey.start).toBe(secret.slice(0, 9))
    expect(apiKey.note).toBe('production \u{1F680}')
    const { apiKeys } = await customer.account()
    expect(apiKeys.nodes.find(({ id }) => id === apiKey.id)?.secret).toBe(secret)
  })

  it('shows a secret only to tokens with keys:reveal', async () => {
    const customer = await createCustomer(app)
    const reader = await app.token({ account: customer.externalId, scopes: ['keys:read'] })
    const { apiKeys } = await { ...customer, token: reader }.account()
    expect(apiKeys.nodes.map(({ secret }) => secret).filter(Boolean)).toHaveLength(1)
    const { data } = await app.query<{ account: { apiKeys: { nodes: { secret: string | null }[] } } }, never>(
      '{ account { apiKeys { nodes { secret } } } }',
      { as: reader },
    )
    expect(data.account.apiKeys.nodes).toEqual([{ secret: null }])
  })

  it('stores no secret in plain text', async () => {
    const customer = await createCustomer(app)
    const { secret } = await customer.addApiKey()
    const rows = await app.sql<{ digest: Uint8Array; sealed_secret: string }>(
      'select digest, sealed_secret from api_key',
    )
    const stored = rows.map(
      ({ digest, sealed_secret }) => Buffer.from(digest ?? []).toString('latin1') + sealed_secret,
    )
    expect(stored.join()).not.toContain(secret)
    expect(rows.every(({ digest }) => digest.length === 32)).toBe(true)
  })

  it('never exceeds the plan under concurrent adds', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 7 })
    const results = await Promise.all(
      Array.from({ length: 25 }, () =>
        app.query(AddApiKey, { as: customer.token, variables: { input: {} } }),
      ),
    )
    const outcomes = results.map(({ data }) => data.addApiKey.__typename)
    expect(outcomes.filter((name) => name === 'AddApiKeyPayload')).toHaveLength(6)
    expect(outcomes.filter((name) => name === 'ApiKeyLimitReached')).toHaveLength(19)
    const refusal = results.find(({ data }) => data.addApiKey.__typename === 'ApiKeyLimitReached')
    expect(refusal?.data.addApiKey).toMatchObject({
      limit: 7,
      plan: { slug: `plan-of-${customer.externalId}` },
    })
    expect((await customer.account()).apiKeys.totalCount).toBe(7)
    expect((await customer.account()).apiKeysRemaining).toBe(0)
  })

  it('makes room for another key when one is removed', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 2 })
    const { apiKey } = await customer.addApiKey()
    const { data } = await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    expect(data.removeApiKey).toMatchObject({ removedApiKeyId: apiKey.id, account: { apiKeysRemaining: 1 } })
    await customer.addApiKey()
    expect((await customer.account()).apiKeys.nodes.map(({ id }) => id)).not.toContain(apiKey.id)
    const again = await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    expect(again.data.removeApiKey.__typename).toBe('NotFound')
  })

  it('keeps the calls of a removed key in its account’s month', async () => {
    const customer = await createCustomer(app, {})
    const gateway = await createGateway(app)
    const { apiKey, secret } = await customer.addApiKey()
    await gateway.meter(secret)
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    expect((await customer.account()).usage.calls).toBe(1)
  })

  it('regenerates in place: another secret, but the same id, note, access and count', async () => {
    const customer = await createCustomer(app, {})
    const gateway = await createGateway(app)
    const { apiKey, secret } = await customer.addApiKey({
      note: 'kept',
      access: { mode: 'RESTRICTED', apiCalls: ['v3.ping'] },
    })
    await gateway.meter(secret)
    const { data } = await app.query(RegenerateApiKey, { as: customer.token, variables: { id: apiKey.id } })
    if (data.regenerateApiKey.__typename !== 'RegenerateApiKeyPayload') throw new Error('not regenerated')
    expect(data.regenerateApiKey.secret).not.toBe(secret)
    const key = (await customer.account()).apiKeys.nodes.find(({ id }) => id === apiKey.id)
    expect(key).toMatchObject({
      note: 'kept',
      secret: data.regenerateApiKey.secret,
      start: data.regenerateApiKey.secret.slice(0, 9),
      access: { mode: 'RESTRICTED', apiCalls: [{ name: 'v3.ping' }] },
      usage: { calls: 1 },
    })
    expect(key?.regeneratedAt).not.toBeNull()
  })

  it.each([
    ['a note', 'a note'],
    ['  trimmed  ', 'trimmed'],
    ['Ключ для статуса 狀態 🔑', 'Ключ для статуса 狀態 🔑'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['🔑'.repeat(200), '🔑'.repeat(200)],
    ['', null],
    ['   ', null],
    [null, null],
  ])('sets the note %j as %j', async (note, stored) => {
    const customer = await createCustomer(app)
    const id = (await customer.account()).apiKeys.nodes[0]?.id ?? ''
    await app.query(SetApiKeyNote, { as: customer.token, variables: { id, note: 'before' } })
    const { data } = await app.query(SetApiKeyNote, { as: customer.token, variables: { id, note } })
    expect(data.setApiKeyNote).toMatchObject({ apiKey: { id, note: stored } })
  })

  it('restricts a key to exactly the named API calls, or to none', async () => {
    const customer = await createCustomer(app)
    const id = (await customer.account()).apiKeys.nodes[0]?.id ?? ''
    const configure = async (apiCalls: string[]) => {
      const variables = { id, access: { mode: 'RESTRICTED' as const, apiCalls } }
      return (await app.query(ConfigureApiKeyAccess, { as: customer.token, variables })).data
        .configureApiKeyAccess
    }
    expect(await configure(['v3.account.limits', 'v3.ping', 'v3.ping'])).toMatchObject({
      apiKey: {
        access: { mode: 'RESTRICTED', apiCalls: [{ name: 'v3.ping' }, { name: 'v3.account.limits' }] },
      },
    })
    expect(await configure([])).toMatchObject({ apiKey: { access: { mode: 'RESTRICTED', apiCalls: [] } } })
  })

  it('lists every unknown API call, and changes nothing', async () => {
    const customer = await createCustomer(app)
    const id = (await customer.account()).apiKeys.nodes[0]?.id ?? ''
    const access = { mode: 'RESTRICTED' as const, apiCalls: ['v3.ping', 'v3.nope', 'nil\u0000'] }
    const { data } = await app.query(ConfigureApiKeyAccess, { as: customer.token, variables: { id, access } })
    if (data.configureApiKeyAccess.__typename !== 'InvalidInput') throw new Error('not refused')
    expect(data.configureApiKeyAccess.issues.map(({ message }) => message)).toEqual([
      'The catalogue has no API call named "v3.nope".',
      'The catalogue has no API call named "nil\\u0000".',
    ])
    expect((await customer.account()).apiKeys.nodes[0]?.access.mode).toBe('FULL')
    const added = await app.query(AddApiKey, { as: customer.token, variables: { input: { access } } })
    expect(added.data.addApiKey.__typename).toBe('InvalidInput')
    expect((await customer.account()).apiKeys.totalCount).toBe(1)
  })

  it('lists keys page by page in the order of adding, and finds them by note and start', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 10 })
    const added = []
    for (const note of ['100% Alpha', 'beta', 'alphabet', 'a_b'])
      added.push(await customer.addApiKey({ note }))
    const list = async (args: string) => {
      const query = `{ account { apiKeys(${args}) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { note } } } }`
      const { data } = await app.query<{ account: { apiKeys: KeysPage } }, never>(query, {
        as: customer.token,
      })
      return data.account.apiKeys
    }
    const first = await list('first: 2')
    expect(first).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: true, hasPreviousPage: false } })
    expect(first.nodes.map(({ note }) => note)).toEqual([null, '100% Alpha'])
    const { endCursor } = first.pageInfo
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: added[0]?.apiKey.id ?? '' } })
    const rest = await list(`first: 100, after: "${endCursor}"`)
    expect(rest.nodes.map(({ note }) => note)).toEqual(['beta', 'alphabet', 'a_b'])
    expect(rest.pageInfo.hasNextPage).toBe(false)
    const back = await list(`last: 1, before: "${rest.pageInfo.startCursor}"`)
    expect(back.nodes).toEqual([{ note: null }])
    expect((await list('search: "ALPHA"')).nodes).toEqual([{ note: 'alphabet' }])
    expect((await list('search: "%"')).totalCount).toBe(0)
    expect((await list('search: "a_b"')).nodes).toEqual([{ note: 'a_b' }])
    expect((await list(`search: "${added[1]?.apiKey.start}"`)).nodes).toEqual([{ note: 'beta' }])
    expect((await list('search: " "')).totalCount).toBe(4)
  })

  it('returns a key’s history by month, newest first', async () => {
    app.clock.set(new Date('2026-10-15T00:00:00Z'))
    const customer = await createCustomer(app, {})
    const gateway = await createGateway(app)
    const { secret, apiKey } = await customer.addApiKey()
    await gateway.meter(secret)
    app.clock.set(new Date('2026-12-15T00:00:00Z'))
    await gateway.meter(secret)
    await gateway.meter(secret)
    const { data } = await app.query<
      { apiKey: { usageHistory: unknown; lastCallAt: string } },
      { id: string }
    >('query ($id: ID!) { apiKey(id: $id) { usageHistory(months: 4) { month calls } lastCallAt } }', {
      as: customer.token,
      variables: { id: apiKey.id },
    })
    expect(data.apiKey.usageHistory).toEqual([
      { month: '2026-12', calls: 2 },
      { month: '2026-11', calls: 0 },
      { month: '2026-10', calls: 1 },
      { month: '2026-09', calls: 0 },
    ])
    expect(data.apiKey.lastCallAt).toMatch(/^2026-12-15T00:00/)
    app.clock.set(new Date())
  })
})

interface KeysPage {
  totalCount: number
  pageInfo: { hasNextPage: boolean; startCursor: string; endCursor: string }
  nodes: { note: string | null }[]
}

describe('keys where secrets are not recoverable', () => {
  it('shows a secret only when it is created', async () => {
    const app = await startApp({ environment: { NODE_ENV: 'production', KEY_ENCRYPTION_KEYS: '' } })
    try {
      const customer = await createCustomer(app)
      const { secret, apiKey } = await customer.addApiKey()
      expect(isWellFormedSecret(secret)).toBe(true)
      const { apiKeys } = await customer.account()
      expect(apiKeys.nodes.find(({ id }) => id === apiKey.id)?.secret).toBeNull()
    } finally {
      await app.stop()
    }
  })
})
