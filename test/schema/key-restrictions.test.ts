import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseGlobalId } from '../../src/schema/global-id.ts'
import { databasesInTurn, startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import type { ApiKeyAccessInput } from '../support/generated/graphql.ts'
import {
  AddApiKey,
  ApiKeyRestrictions,
  ConfigureApiKeyAccess,
  RegenerateApiKey,
  RemoveApiKey,
  RevokePreviousSecret,
  SetApiKeyEnabled,
  SetApiKeyExpiry,
  SetApiKeyLimits,
} from '../support/operations.ts'

const unrestricted = {
  enabled: true,
  expiresAt: null,
  previousSecretExpiresAt: null,
  monthlyCallLimit: null,
  rateLimit: null,
  access: { mode: 'FULL', resources: null, allowedNetworks: [] },
}
const later = '2999-12-31T23:59:59.000Z'
const monitors = [{ type: 'monitor', ids: ['7', '9'] }]

describe.each(databasesInTurn)('restrictions of keys on %s', (database) => {
  let app: TestApp
  let customer: Customer
  let id: string

  beforeAll(async () => {
    app = await startApp({ database })
    customer = await createCustomer(app, { maxApiKeys: 100 })
  })
  afterAll(() => app.stop())

  async function newKey(): Promise<string> {
    id = (await customer.addApiKey({ note: 'kept' })).apiKey.id
    return id
  }

  const send = <Data, Variables>(document: DocumentTypeDecoration<Data, Variables>, variables: Variables) =>
    app.query(document, { as: customer.token, variables })

  async function restrictions() {
    return (await send(ApiKeyRestrictions, { id })).data.apiKey
  }

  async function configure(access: ApiKeyAccessInput) {
    return (await send(ConfigureApiKeyAccess, { id, access })).data.configureApiKeyAccess
  }

  /** Everything stored about the account's keys. */
  async function rows() {
    const accountId = (await app.services.accounts.find(customer.externalId)) as string
    return await app.services.prisma.apiKey.findMany({
      where: { accountId },
      include: { resources: true, apiCalls: true },
      orderBy: { id: 'asc' },
    })
  }

  it('are none on a new key', async () => {
    await newKey()
    expect(await restrictions()).toEqual(unrestricted)
  })

  it('come with a new key, all of them in one commit', async () => {
    const { apiKey } = await customer.addApiKey({
      expiresAt: later,
      monthlyCallLimit: 9_007_199_254_740_991,
      rateLimit: { calls: 10, perSeconds: 60 },
      access: {
        mode: 'RESTRICTED',
        apiCalls: ['v3.ping'],
        resources: [...monitors, { type: 'status-page' }],
        allowedNetworks: ['2001:DB8::1/32', '192.0.2.77/24', '::ffff:192.0.2.0/120', '198.51.100.1'],
      },
    })
    id = apiKey.id
    expect(await restrictions()).toEqual({
      ...unrestricted,
      expiresAt: later,
      monthlyCallLimit: 9_007_199_254_740_991,
      rateLimit: { calls: 10, perSeconds: 60 },
      access: {
        mode: 'RESTRICTED',
        resources: [...monitors, { type: 'status-page', ids: null }],
        allowedNetworks: ['192.0.2.0/24', '198.51.100.1/32', '2001:db8::/32'],
      },
    })
    const before = await rows()
    const access = { mode: 'RESTRICTED' as const, apiCalls: ['v3.nope'], resources: monitors }
    const refused = await send(AddApiKey, { input: { access, monthlyCallLimit: 5 } })
    expect(refused.data.addApiKey.__typename).toBe('InvalidInput')
    expect(await rows()).toEqual(before)
  })

  it('turn a key off and on again', async () => {
    await newKey()
    const off = await send(SetApiKeyEnabled, { id, enabled: false })
    expect(off.data.setApiKeyEnabled).toMatchObject({ apiKey: { id, enabled: false } })
    expect(await restrictions()).toEqual({ ...unrestricted, enabled: false })
    const on = await send(SetApiKeyEnabled, { id, enabled: true })
    expect(on.data.setApiKeyEnabled).toMatchObject({ apiKey: { id, enabled: true } })
    expect(await restrictions()).toEqual(unrestricted)
  })

  it('let a key expire, which stays on the list and in the plan, and then live on', async () => {
    const single = await createCustomer(app, { maxApiKeys: 1 })
    const key = (await single.account()).apiKeys.nodes[0]?.id ?? ''
    const set = (expiresAt: string | null) =>
      app.query(SetApiKeyExpiry, { as: single.token, variables: { id: key, expiresAt } })
    const soon = new Date(app.clock.now().getTime() + 60_000)
    expect((await set(soon.toISOString())).data.setApiKeyExpiry).toMatchObject({
      apiKey: { expiresAt: soon.toISOString() },
    })
    app.clock.set(soon)
    expect(await single.account()).toMatchObject({ apiKeysRemaining: 0, apiKeys: { totalCount: 1 } })
    const another = await app.query(AddApiKey, { as: single.token, variables: { input: {} } })
    expect(another.data.addApiKey.__typename).toBe('ApiKeyLimitReached')
    expect((await set(later)).data.setApiKeyExpiry).toMatchObject({ apiKey: { expiresAt: later } })
    expect((await set(null)).data.setApiKeyExpiry).toMatchObject({ apiKey: { expiresAt: null } })
    app.clock.set(new Date())
  })

  it('limit a key’s calls: one limit is set and lifted without the other', async () => {
    await newKey()
    const rateLimit = { calls: 2_147_483_647, perSeconds: 86_400 }
    await send(SetApiKeyLimits, { input: { id, monthlyCallLimit: 1 } })
    await send(SetApiKeyLimits, { input: { id, rateLimit } })
    expect(await restrictions()).toEqual({ ...unrestricted, monthlyCallLimit: 1, rateLimit })
    await send(SetApiKeyLimits, { input: { id } })
    expect(await restrictions()).toEqual({ ...unrestricted, monthlyCallLimit: 1, rateLimit })
    await send(SetApiKeyLimits, { input: { id, monthlyCallLimit: null } })
    expect(await restrictions()).toEqual({ ...unrestricted, rateLimit })
    await send(SetApiKeyLimits, { input: { id, rateLimit: null } })
    expect(await restrictions()).toEqual(unrestricted)
  })

  it('bind a key to resources and networks, which only their own input changes and lifts', async () => {
    await newKey()
    const access = { mode: 'FULL', resources: monitors, allowedNetworks: ['192.0.2.0/24'] }
    expect(await configure({ mode: 'FULL', resources: monitors })).toMatchObject({
      apiKey: { access: { ...access, allowedNetworks: [] } },
    })
    expect(await configure({ mode: 'FULL', allowedNetworks: ['192.0.2.0/24'] })).toMatchObject({
      apiKey: { access },
    })
    const unaware = { mode: 'RESTRICTED' as const, apiCalls: ['v3.ping'] }
    expect(await configure(unaware)).toMatchObject({ apiKey: { access: { ...access, mode: 'RESTRICTED' } } })
    const nulls = { resources: null, allowedNetworks: null, allResources: null }
    expect(await configure({ mode: 'FULL', ...nulls })).toMatchObject({ apiKey: { access } })
    expect(await configure({ mode: 'FULL', allowedNetworks: [] })).toMatchObject({
      apiKey: { access: { ...access, allowedNetworks: [] } },
    })
    expect(await configure({ mode: 'FULL', allResources: true })).toMatchObject({
      apiKey: { access: unrestricted.access },
    })
    await configure({ mode: 'FULL', resources: monitors })
    expect(await configure({ mode: 'FULL', resources: [] })).toMatchObject({
      apiKey: { access: unrestricted.access },
    })
    expect((await rows()).find((row) => row.id === parseGlobalId(id).id)?.resources).toEqual([])
  })

  it('hold up to 1,000 resources', async () => {
    await newKey()
    const ids = Array.from({ length: 1_000 }, (_, i) => String(i)).sort()
    const answer = await configure({ mode: 'FULL', resources: [{ type: 'monitor', ids }] })
    if (answer.__typename !== 'ConfigureApiKeyAccessPayload') throw new Error('not configured')
    const [resources] = answer.apiKey.access.resources ?? []
    expect(resources?.type).toBe('monitor')
    expect([...(resources?.ids ?? [])].sort()).toEqual(ids)
  })

  it('change nothing else about a key', async () => {
    await newKey()
    await configure({ mode: 'RESTRICTED', apiCalls: ['v3.ping'] })
    const { id: keyId } = parseGlobalId(id)
    const older = async () => {
      const key = (await rows()).find((row) => row.id === keyId)
      const { digest, sealedSecret, start, note, accessMode, createdAt, regeneratedAt, removedAt } = key ?? {}
      return {
        digest,
        sealedSecret,
        start,
        note,
        accessMode,
        createdAt,
        regeneratedAt,
        removedAt,
        calls: key?.apiCalls,
      }
    }
    const before = await older()
    expect(before.note).toBe('kept')
    await send(SetApiKeyEnabled, { id, enabled: false })
    await send(SetApiKeyExpiry, { id, expiresAt: later })
    await send(SetApiKeyLimits, {
      input: { id, monthlyCallLimit: 1, rateLimit: { calls: 1, perSeconds: 1 } },
    })
    await configure({
      mode: 'RESTRICTED',
      apiCalls: ['v3.ping'],
      resources: monitors,
      allowedNetworks: ['::/0'],
    })
    await send(RevokePreviousSecret, { id })
    expect(await older()).toEqual(before)
  })

  describe('with bad input', () => {
    const limits = (input: object) => [SetApiKeyLimits, { input }] as const
    const expiry = (expiresAt: string) => [SetApiKeyExpiry, { expiresAt }] as const
    const access = (input: object) => [ConfigureApiKeyAccess, { access: { mode: 'FULL', ...input } }] as const
    const addition = (input: object) => [AddApiKey, { input }] as const
    const tooMany = [{ type: 'monitor', ids: Array.from({ length: 1_001 }, (_, i) => String(i)) }]

    it.each([
      ['an expiry in the past', 'input.expiresAt', expiry('2020-01-01T00:00:00Z')],
      ['an expiry in the first year', 'input.expiresAt', expiry('0001-01-01T00:00:00Z')],
      ['an addition that has expired', 'input.expiresAt', addition({ expiresAt: '2020-01-01T00:00:00Z' })],
      ['no calls a month', 'input.monthlyCallLimit', limits({ monthlyCallLimit: 0 })],
      ['fewer calls a month than none', 'input.monthlyCallLimit', addition({ monthlyCallLimit: -1 })],
      ['no calls', 'input.rateLimit.calls', limits({ rateLimit: { calls: 0, perSeconds: 1 } })],
      ['no time', 'input.rateLimit.perSeconds', addition({ rateLimit: { calls: 1, perSeconds: 0 } })],
      ['a negative time', 'input.rateLimit.perSeconds', limits({ rateLimit: { calls: 1, perSeconds: -1 } })],
      [
        'more than a day',
        'input.rateLimit.perSeconds',
        limits({ rateLimit: { calls: 1, perSeconds: 86_401 } }),
      ],
      [
        'an invalid network',
        'input.access.allowedNetworks.1',
        access({ allowedNetworks: ['::/0', '10.0.0.0/33'] }),
      ],
      ['a resource without a type', 'input.access.resources.0.type', access({ resources: [{ type: '' }] })],
      ['1,001 resources', 'input.access.resources', access({ resources: tooMany })],
      [
        'an addition for some and all resources',
        'input.access.allResources',
        addition({ access: { mode: 'FULL', resources: monitors, allResources: true } }),
      ],
      ['a negative overlap', 'input.overlapSeconds', [RegenerateApiKey, { overlapSeconds: -1 }] as const],
      [
        '31 days of overlap',
        'input.overlapSeconds',
        [RegenerateApiKey, { overlapSeconds: 2_592_001 }] as const,
      ],
    ])('refuse %s at %s and change nothing', async (_label, path, [document, variables]) => {
      await newKey()
      await configure({ mode: 'FULL', resources: monitors })
      const before = await rows()
      const values = JSON.parse(JSON.stringify(variables))
      if (document === SetApiKeyLimits) values.input.id = id
      const { data, errors } = await app.query<Record<string, Refusal>, object>(String(document), {
        as: customer.token,
        variables: { id, ...values },
      })
      expect(errors).toBeUndefined()
      const [answer] = Object.values(data)
      expect(answer).toMatchObject({ __typename: 'InvalidInput' })
      expect(answer?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
      expect(await rows()).toEqual(before)
    })

    it.each([
      'not a date',
      '2026-02-30T00:00:00Z',
      '+275760-09-13T00:00:00.001Z',
      '10000-01-01T00:00:00Z',
      '',
    ])('refuse the date %j, naming the field, and change nothing', async (expiresAt) => {
      await newKey()
      const before = await rows()
      const { data, errors } = await send(SetApiKeyExpiry, { id, expiresAt })
      expect(data).toBeUndefined()
      expect(errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } })
      expect(errors?.[0]?.message).toContain('$expiresAt')
      expect(await rows()).toEqual(before)
    })
  })

  it('cannot be set on a removed key', async () => {
    await newKey()
    await send(RemoveApiKey, { id })
    const before = await rows()
    const answers = [
      (await send(SetApiKeyEnabled, { id, enabled: false })).data.setApiKeyEnabled,
      (await send(SetApiKeyExpiry, { id, expiresAt: later })).data.setApiKeyExpiry,
      (await send(SetApiKeyLimits, { input: { id, monthlyCallLimit: 1 } })).data.setApiKeyLimits,
      (await send(SetApiKeyLimits, { input: { id } })).data.setApiKeyLimits,
      (await send(RevokePreviousSecret, { id })).data.revokePreviousSecret,
      (await send(RegenerateApiKey, { id, overlapSeconds: 60 })).data.regenerateApiKey,
      await configure({ mode: 'FULL', resources: monitors }),
    ]
    expect(answers.map(({ __typename }) => __typename)).toEqual(answers.map(() => 'NotFound'))
    expect(await rows()).toEqual(before)
  })
})

interface Refusal {
  __typename: string
  issues: { path: string[]; message: string }[]
}
