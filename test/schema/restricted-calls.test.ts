import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStorage, databasesInTurn, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { type AddedApiKey, type Customer, createCustomer, createGateway } from '../support/customer.ts'
import type { AddApiKeyInput, ApiKeyAccessInput, MeterApiCallInput } from '../support/generated/graphql.ts'
import {
  ConfigureApiKeyAccess,
  MeterApiCalls,
  SetApiKeyEnabled,
  SetApiKeyExpiry,
  SetApiKeyLimits,
} from '../support/operations.ts'

// On PostgreSQL, another server meters than the one that changes the keys.
describe.each(databasesInTurn)('a call with a restricted key on %s', (database) => {
  let storage: TestStorage
  let app: TestApp
  let metering: TestApp
  let customer: Customer
  let gateway: string
  let added: AddedApiKey

  beforeAll(async () => {
    storage = await createStorage(database)
    app = await startApp({ storage })
    metering = database === 'PostgreSQL' ? await startApp({ storage, clock: app.clock }) : app
    customer = await createCustomer(app, { maxApiKeys: 100 })
    gateway = (await createGateway(app)).token
  })
  afterAll(async () => {
    await app.stop()
    if (metering !== app) await metering.stop()
    await storage.drop()
  })

  const newKey = async (input: AddApiKeyInput = {}) => {
    added = await customer.addApiKey(input)
  }

  async function change<Data, Variables>(
    document: DocumentTypeDecoration<Data, Variables>,
    variables: Variables,
  ) {
    const { data, errors } = await app.query(document, { as: customer.token, variables })
    expect(errors).toBeUndefined()
    expect(JSON.stringify(data)).toContain('Payload"')
  }

  const configure = (access: Omit<ApiKeyAccessInput, 'mode'>) =>
    change(ConfigureApiKeyAccess, { id: added.apiKey.id, access: { mode: 'FULL', ...access } })
  const limit = (limits: object) => change(SetApiKeyLimits, { input: { id: added.apiKey.id, ...limits } })

  /** The codes of as many calls, which arrive together. */
  async function codesOf(...calls: Partial<MeterApiCallInput>[]): Promise<string[]> {
    const { data } = await metering.query(MeterApiCalls, {
      as: gateway,
      variables: { calls: calls.map((call) => ({ secret: added.secret, apiCall: 'v3.ping', ...call })) },
    })
    return data.meterApiCalls.decisions.map(({ code }) => code)
  }
  const codeOf = async (call: Partial<MeterApiCallInput> = {}) => (await codesOf(call))[0]

  it('is refused as soon as the key is turned off, until it is on again', async () => {
    await newKey()
    expect(await codeOf()).toBe('ADMITTED')
    for (let round = 0; round < 3; round++) {
      await change(SetApiKeyEnabled, { id: added.apiKey.id, enabled: false })
      expect(await codeOf()).toBe('KEY_DISABLED')
      await change(SetApiKeyEnabled, { id: added.apiKey.id, enabled: true })
      expect(await codeOf()).toBe('ADMITTED')
    }
  })

  it('is refused from the expiry on, until the key is given a later one or none', async () => {
    const expiresAt = new Date(app.clock.now().getTime() + 60_000)
    await newKey({ expiresAt: expiresAt.toISOString() })
    expect(await codeOf()).toBe('ADMITTED')
    app.clock.set(expiresAt)
    expect(await codeOf()).toBe('KEY_EXPIRED')
    const later = new Date(expiresAt.getTime() + 3_600_000)
    await change(SetApiKeyExpiry, { id: added.apiKey.id, expiresAt: later.toISOString() })
    expect(await codeOf()).toBe('ADMITTED')
    await change(SetApiKeyExpiry, { id: added.apiKey.id, expiresAt: null })
    app.clock.set(later)
    expect(await codeOf()).toBe('ADMITTED')
    app.clock.set(new Date())
  })

  it('is refused beyond the key’s own month, until the limit is raised or lifted', async () => {
    await newKey({ monthlyCallLimit: 2 })
    expect(await codesOf({}, {}, {})).toEqual(['ADMITTED', 'ADMITTED', 'KEY_LIMIT_EXCEEDED'])
    await limit({ monthlyCallLimit: 3 })
    expect(await codesOf({}, {})).toEqual(['ADMITTED', 'KEY_LIMIT_EXCEEDED'])
    await limit({ rateLimit: { calls: 100, perSeconds: 1 } })
    expect(await codeOf()).toBe('KEY_LIMIT_EXCEEDED')
    await limit({ monthlyCallLimit: null })
    expect(await codeOf()).toBe('ADMITTED')
  })

  it('is refused when it comes too fast, until the rate is lifted', async () => {
    await newKey({ rateLimit: { calls: 2, perSeconds: 86_400 } })
    expect(await codesOf({}, {}, {})).toEqual(['ADMITTED', 'ADMITTED', 'RATE_LIMITED'])
    await limit({ rateLimit: null })
    expect(await codeOf()).toBe('ADMITTED')
  })

  it('is refused from outside the key’s networks, until they are lifted', async () => {
    await newKey({
      access: {
        mode: 'FULL',
        allowedNetworks: ['192.0.2.77/24', '::ffff:198.51.100.0/120', '2001:DB8::/32'],
      },
    })
    const inside = ['192.0.2.1', '::ffff:192.0.2.255', '198.51.100.7', '2001:db8:1::1']
    const outside = ['192.0.3.1', '::ffff:192.0.3.1', '2001:db9::1', '::', 'nonsense', '', null]
    expect(await codesOf(...inside.map((clientIp) => ({ clientIp })))).toEqual(inside.map(() => 'ADMITTED'))
    expect(await codesOf(...outside.map((clientIp) => ({ clientIp })))).toEqual(
      outside.map(() => 'NETWORK_DENIED'),
    )
    await configure({})
    expect(await codeOf({ clientIp: '192.0.3.1' })).toBe('NETWORK_DENIED')
    await configure({ allowedNetworks: [] })
    expect(await codeOf({ clientIp: '192.0.3.1' })).toBe('ADMITTED')
  })

  it('is refused for other resources than the key’s, until they are lifted', async () => {
    await newKey({
      access: { mode: 'FULL', resources: [{ type: 'monitor', ids: ['7', '9'] }, { type: 'page' }] },
    })
    const monitor = (id?: string) => ({ resource: { type: 'monitor', id: id ?? null } })
    const page = (id?: string) => ({ resource: { type: 'page', id: id ?? null } })
    expect(await codesOf(monitor('7'), monitor('9'), page('1'), page())).toEqual(Array(4).fill('ADMITTED'))
    expect(await codesOf(monitor('8'), { resource: { type: 'alert', id: '7' } }, {})).toEqual(
      Array(3).fill('RESOURCE_DENIED'),
    )
    await configure({ allowedNetworks: [] })
    expect(await codeOf(monitor('8'))).toBe('RESOURCE_DENIED')
    await configure({ resources: [{ type: 'monitor', ids: ['8'] }] })
    expect(await codesOf(monitor('7'), monitor('8'), page('1'))).toEqual([
      'RESOURCE_DENIED',
      'ADMITTED',
      'RESOURCE_DENIED',
    ])
    await configure({ allResources: true })
    expect(await codesOf(monitor('7'), page('1'), {})).toEqual(Array(3).fill('ADMITTED'))
  })
})
