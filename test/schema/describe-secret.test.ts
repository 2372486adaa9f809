import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Scope } from '../../src/domain/principal.ts'
import { digestOf, generateSecret } from '../../src/domain/secret.ts'
import { parseGlobalId } from '../../src/schema/global-id.ts'
import { databasesInTurn, noteSecrets, startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import {
  ConfigureApiKeyAccess,
  DescribeSecret,
  RegenerateApiKey,
  RemoveApiKey,
  SetApiKeyEnabled,
  SetApiKeyExpiry,
} from '../support/operations.ts'

describe.each(databasesInTurn)('describeSecret on %s', (database) => {
  let app: TestApp
  let gateway: string
  let customer: Customer

  beforeAll(async () => {
    app = await startApp({ database })
    gateway = (await createGateway(app)).token
    customer = await createCustomer(app, { maxApiKeys: 100 })
  })
  afterAll(() => app.stop())

  async function describeSecret(secret: string, as = gateway) {
    const { data, errors } = await app.query(DescribeSecret, { as, variables: { secret } })
    expect(errors).toBeUndefined()
    return data.describeSecret
  }

  it('says what a key is and may do, and counts no call', async () => {
    const { secret, apiKey } = await customer.addApiKey({ note: 'reports' })
    const access = {
      mode: 'RESTRICTED' as const,
      apiCalls: ['v3.ping'],
      resources: [{ type: 'monitor', ids: ['7'] }],
      allowedNetworks: ['192.0.2.0/24'],
    }
    await app.query(ConfigureApiKeyAccess, { as: customer.token, variables: { id: apiKey.id, access } })
    expect(await describeSecret(secret)).toEqual({
      previousSecret: false,
      code: 'ADMITTED',
      apiKey: {
        ...{ id: apiKey.id, start: apiKey.start, note: 'reports' },
        ...{ secret: null, enabled: true, expiresAt: null },
      },
      access: { ...access, apiCalls: [{ name: 'v3.ping' }] },
      account: {
        externalId: customer.externalId,
        name: customer.externalId,
        plan: { slug: `plan-of-${customer.externalId}` },
      },
    })
    expect((await customer.account()).usage.calls).toBe(0)
  })

  it('tells the first reason for which every call would be refused', async () => {
    const { secret, apiKey } = await customer.addApiKey()
    const { id } = apiKey
    const codeOf = async () => (await describeSecret(secret))?.code
    const suspend = (suspended: boolean) =>
      app.services.prisma.account.update({ where: { externalId: customer.externalId }, data: { suspended } })
    const enable = (enabled: boolean) =>
      app.query(SetApiKeyEnabled, { as: customer.token, variables: { id, enabled } })
    const expiresAt = new Date(app.clock.now().getTime() + 60_000)
    await app.query(SetApiKeyExpiry, {
      as: customer.token,
      variables: { id, expiresAt: expiresAt.toISOString() },
    })
    expect(await codeOf()).toBe('ADMITTED')
    await suspend(true)
    expect(await codeOf()).toBe('ACCOUNT_SUSPENDED')
    app.clock.set(expiresAt)
    expect(await codeOf()).toBe('KEY_EXPIRED')
    await enable(false)
    expect(await codeOf()).toBe('KEY_DISABLED')
    await suspend(false)
    await enable(true)
    expect(await codeOf()).toBe('KEY_EXPIRED')
    app.clock.set(new Date())
  })

  it('is null for what is no key’s secret: unknown, malformed, or of a removed key', async () => {
    const { secret, apiKey } = await customer.addApiKey()
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    for (const text of [
      secret,
      generateSecret('lk'),
      '',
      'x'.repeat(40),
      `lk_${'0'.repeat(38)}`,
      'nil\u0000',
    ])
      expect(await describeSecret(text)).toBeNull()
  })

  it('finds secrets of any form by their digest', async () => {
    const { apiKey } = await customer.addApiKey()
    const imported = noteSecrets(`sk_live_${'imported'.repeat(4)}`)
    await app.services.prisma.apiKey.update({
      where: { id: parseGlobalId(apiKey.id).id },
      data: { digest: new Uint8Array(digestOf(imported)) },
    })
    expect((await describeSecret(imported))?.apiKey.id).toBe(apiKey.id)
  })

  describe('to a token that has the secret', () => {
    let secret: string
    let previous: string

    beforeAll(async () => {
      const { apiKey, secret: first } = await customer.addApiKey()
      previous = first
      const { data } = await app.query(RegenerateApiKey, {
        as: customer.token,
        variables: { id: apiKey.id, overlapSeconds: 3_600 },
      })
      if (data.regenerateApiKey.__typename !== 'RegenerateApiKeyPayload') throw new Error('not regenerated')
      secret = data.regenerateApiKey.secret
    })

    const ask = async (scopes: readonly Scope[], selection: string, account?: string) => {
      const as = await app.token({ scopes, ...(account === undefined ? {} : { account }) })
      return await app.query<{ describeSecret: object | null }, { secret: string }>(
        `query ($secret: String!) { describeSecret(secret: $secret) { ${selection} } }`,
        { as, variables: { secret: previous } },
      )
    }

    it.each<[string, Scope[], string | undefined]>([
      ['a gateway', ['calls:meter'], undefined],
      ['one that may reveal', ['calls:meter', 'keys:reveal', 'keys:read'], undefined],
      ['another customer’s', ['calls:meter', 'keys:reveal', 'keys:read'], 'somebody-else'],
    ])('shows no secret, of %s', async (_whose, scopes, account) => {
      const { data } = await ask(scopes, 'previousSecret apiKey { secret }', account)
      expect(data.describeSecret).toEqual({ previousSecret: true, apiKey: { secret: null } })
    })

    it('shows the secret to its own account and to operators only if they may reveal', async () => {
      const reveal: Scope[] = ['calls:meter', 'keys:read', 'keys:reveal']
      const own = await ask(reveal, 'apiKey { secret }', customer.externalId)
      expect(own.data.describeSecret).toEqual({ apiKey: { secret } })
      const reader = await ask(['calls:meter', 'keys:read'], 'apiKey { secret }', customer.externalId)
      expect(reader.data.describeSecret).toEqual({ apiKey: { secret: null } })
    })

    it.each([
      ['the account of the key, with more than the description', 'apiKey { account { externalId } }'],
      ['other keys', 'account { apiKeys { nodes { id } } }'],
      ['how many keys there are', 'account { apiKeys { totalCount } }'],
      ['how many keys could be added', 'account { apiKeysRemaining }'],
      ['the key through its usage', 'apiKey { usage { apiKey { note } } }'],
    ])('does not show %s', async (_label, selection) => {
      for (const [scopes, account] of [
        [['calls:meter'], undefined],
        [['calls:meter', 'keys:read'], undefined],
        [['calls:meter', 'keys:read'], 'somebody-else'],
      ] as const) {
        const { data, errors } = await ask(scopes, selection, account)
        expect(data.describeSecret).toBeNull()
        expect(['FORBIDDEN', 'NOT_FOUND']).toContain(errors?.[0]?.extensions.code)
      }
    })

    it('shows what limits the key, and the usage and plan of its account', async () => {
      const selection = `apiKey { monthlyCallLimit rateLimit { calls } previousSecretExpiresAt usage { calls } lastCallAt }
        account { createdAt usage { calls quota } plan { name monthlyCallQuota } }`
      const { data, errors } = await ask(['calls:meter'], selection)
      expect(errors).toBeUndefined()
      expect(data.describeSecret).toMatchObject({ account: { usage: { calls: 0, quota: null } } })
    })

    it('grants nothing to the rest of the operation', async () => {
      const selection = 'apiKey { id } account { id }'
      const { data } = await ask(['calls:meter'], selection)
      const described = data.describeSecret as { apiKey: { id: string }; account: { id: string } }
      for (const { id } of [described.apiKey, described.account]) {
        const { errors } = await app.query<unknown, { secret: string; id: string }>(
          `query ($secret: String!, $id: ID!) {
            describeSecret(secret: $secret) { ${selection} }
            node(id: $id) { ... on ApiKey { note } ... on Account { name } }
          }`,
          { as: gateway, variables: { secret: previous, id } },
        )
        expect(errors?.map(({ path }) => path)).toEqual([['node']])
      }
    })

    it('is refused to customers, who may not meter', async () => {
      const { errors } = await app.query(DescribeSecret, { as: customer.token, variables: { secret } })
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    })
  })
})
