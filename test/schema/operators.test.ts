import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import { AccountOverview, AddApiKey, SaveAccount, SaveApiCall, SavePlan } from '../support/operations.ts'

describe('operators', () => {
  let app: TestApp
  let operator: string
  beforeAll(async () => {
    app = await startApp()
    operator = await app.token({ scopes: ['admin'] })
  })
  afterAll(() => app.stop())

  const savePlan = async (input: {
    slug: string
    name: string
    maxApiKeys: number
    monthlyCallQuota?: number | null
  }) => (await app.query(SavePlan, { as: operator, variables: { input } })).data.savePlan
  const saveAccount = async (externalId: string, plan: string, name = externalId) =>
    (await app.query(SaveAccount, { as: operator, variables: { input: { externalId, name, plan } } })).data
      .saveAccount

  it('find the seeded plans and API calls', async () => {
    const { data } = await app.query<
      { plans: unknown; apiCalls: { category: string }[]; legacy: unknown[] },
      never
    >(
      '{ plans { slug name maxApiKeys monthlyCallQuota } apiCalls { name category kind } legacy: apiCalls(category: "Legacy v1") { name } }',
      { as: operator },
    )
    expect(data.plans).toEqual([
      { slug: 'free', name: 'Free', maxApiKeys: 2, monthlyCallQuota: 1_000 },
      { slug: 'professional', name: 'Professional', maxApiKeys: 5, monthlyCallQuota: 10_000 },
      { slug: 'business', name: 'Business', maxApiKeys: 10, monthlyCallQuota: 20_000 },
      { slug: 'enterprise', name: 'Enterprise', maxApiKeys: 25, monthlyCallQuota: 50_000 },
    ])
    expect(data.apiCalls.length).toBeGreaterThan(40)
    expect(data.legacy).toEqual([{ name: 'v1.api-status' }, { name: 'v1.server-agent-id' }])
  })

  it('create and change a plan, with limits beyond 2^31', async () => {
    const made = await savePlan({
      slug: 'huge',
      name: 'Huge',
      maxApiKeys: 3,
      monthlyCallQuota: 9_007_199_254_740_991,
    })
    expect(made).toMatchObject({ plan: { slug: 'huge', monthlyCallQuota: 9_007_199_254_740_991 } })
    const changed = await savePlan({ slug: 'huge', name: 'Endless', maxApiKeys: 0 })
    expect(changed).toMatchObject({
      plan: { slug: 'huge', name: 'Endless', maxApiKeys: 0, monthlyCallQuota: null },
    })
  })

  it.each([
    [{ slug: 'Bad Slug', name: 'x', maxApiKeys: 1 }, ['input', 'slug']],
    [{ slug: 'x', name: ' ', maxApiKeys: 1 }, ['input', 'name']],
    [{ slug: 'x', name: 'x', maxApiKeys: -1 }, ['input', 'maxApiKeys']],
    [{ slug: 'x', name: 'x', maxApiKeys: 1, monthlyCallQuota: -1 }, ['input', 'monthlyCallQuota']],
  ])('cannot save the plan %j', async (input, path) => {
    expect(await savePlan(input)).toMatchObject({ __typename: 'InvalidInput', issues: [{ path }] })
  })

  it('create an account with its first key, and rename it', async () => {
    expect(await saveAccount('acme', 'business', 'Acme')).toMatchObject({
      account: { externalId: 'acme', name: 'Acme', plan: { slug: 'business' }, apiKeys: { totalCount: 1 } },
    })
    expect(await saveAccount('acme', 'business', 'Acme Inc.')).toMatchObject({
      account: { name: 'Acme Inc.', apiKeys: { totalCount: 1 } },
    })
    expect(await saveAccount('acme', 'no-such-plan')).toMatchObject({
      __typename: 'InvalidInput',
      issues: [{ path: ['input', 'plan'] }],
    })
  })

  it('create no key on a plan that allows none', async () => {
    await savePlan({ slug: 'none', name: 'None', maxApiKeys: 0 })
    expect(await saveAccount('keyless', 'none')).toMatchObject({ account: { apiKeys: { totalCount: 0 } } })
  })

  it('downgrade an account without removing keys: only new ones are refused', async () => {
    const customer = await createCustomer(app, { maxApiKeys: 4 })
    const keys = [await customer.addApiKey(), await customer.addApiKey(), await customer.addApiKey()]
    await saveAccount(customer.externalId, 'free')
    const account = await customer.account()
    expect(account).toMatchObject({ apiKeysRemaining: 0, apiKeys: { totalCount: 4 } })
    const { data } = await app.query(AddApiKey, { as: customer.token, variables: { input: {} } })
    expect(data.addApiKey).toMatchObject({ __typename: 'ApiKeyLimitReached', limit: 2 })
    const gateway = await createGateway(app)
    for (const { secret } of keys) expect((await gateway.meter(secret)).admitted).toBe(true)
  })

  it('change the quota for the next call', async () => {
    const customer = await createCustomer(app, { monthlyCallQuota: 1 })
    const gateway = await createGateway(app)
    const { secret } = await customer.addApiKey()
    await gateway.meter(secret)
    expect((await gateway.meter(secret)).code).toBe('QUOTA_EXCEEDED')
    const plan = { slug: `plan-of-${customer.externalId}`, name: 'Plan', maxApiKeys: 10, monthlyCallQuota: 2 }
    await savePlan(plan)
    expect((await gateway.meter(secret)).code).toBe('ADMITTED')
    await savePlan({ ...plan, monthlyCallQuota: 0 })
    expect(await gateway.meter(secret)).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      accountUsage: { calls: 2, remaining: 0 },
    })
  })

  it('add an API call that keys can then be restricted to', async () => {
    const input = { name: 'v4.new', title: 'New', category: 'Newer', kind: 'WRITE' as const }
    const { data } = await app.query(SaveApiCall, { as: operator, variables: { input } })
    expect(data.saveApiCall).toMatchObject({ apiCall: input })
    const customer = await createCustomer(app)
    const { secret } = await customer.addApiKey({ access: { mode: 'RESTRICTED', apiCalls: ['v4.new'] } })
    expect((await (await createGateway(app)).meter(secret, 'v4.new')).code).toBe('ADMITTED')
    const changed = await app.query(SaveApiCall, {
      as: operator,
      variables: { input: { ...input, title: 'Old' } },
    })
    expect(changed.data.saveApiCall).toMatchObject({ apiCall: { title: 'Old' } })
    const refused = await app.query(SaveApiCall, {
      as: operator,
      variables: { input: { ...input, name: 'has space' } },
    })
    expect(refused.data.saveApiCall).toMatchObject({
      __typename: 'InvalidInput',
      issues: [{ path: ['input', 'name'] }],
    })
  })

  it('list accounts page by page, newest first, and find them by external id or name', async () => {
    for (let i = 0; i < 5; i++) await saveAccount(`listed-${i}`, 'free', `Name ${i}`)
    const list = async (args: string) => {
      const query = `{ accounts(${args}) { totalCount pageInfo { endCursor hasNextPage } nodes { externalId } } }`
      const { data } = await app.query<{ accounts: AccountsPage }, never>(query, { as: operator })
      return data.accounts
    }
    const first = await list('search: "LISTED-", first: 2')
    expect(first).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: true } })
    expect(first.nodes.map(({ externalId }) => externalId)).toEqual(['listed-4', 'listed-3'])
    const next = await list(`search: "listed-", first: 3, after: "${first.pageInfo.endCursor}"`)
    expect(next.nodes.map(({ externalId }) => externalId)).toEqual(['listed-2', 'listed-1', 'listed-0'])
    expect((await list('search: "name 3"')).nodes).toEqual([{ externalId: 'listed-3' }])
  })

  it('read any account by its external id', async () => {
    const customer = await createCustomer(app)
    await customer.account()
    const { data } = await app.query(AccountOverview, {
      as: operator,
      variables: { externalId: customer.externalId },
    })
    expect(data.account).toMatchObject({ externalId: customer.externalId, apiKeys: { totalCount: 1 } })
    const nobody = await app.query(AccountOverview, { as: operator, variables: { externalId: 'nobody' } })
    expect(nobody.data.account).toBeNull()
  })
})

interface AccountsPage {
  totalCount: number
  pageInfo: { endCursor: string; hasNextPage: boolean }
  nodes: { externalId: string }[]
}
