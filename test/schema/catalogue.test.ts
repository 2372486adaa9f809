import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databasesInTurn, startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import type { SaveApiCallInput, SavePlanInput } from '../support/generated/graphql.ts'
import { RemoveApiCall, RemoveApiKey, RemovePlan, SaveApiCall, SavePlan } from '../support/operations.ts'

describe.each(databasesInTurn)('operators change the catalogue on %s:', (database) => {
  let app: TestApp
  let as: string
  beforeAll(async () => {
    app = await startApp({ database })
    as = await app.token({ scopes: ['admin'] })
  })
  afterAll(() => app.stop())

  const savePlan = async (input: SavePlanInput) =>
    (await app.query(SavePlan, { as, variables: { input } })).data.savePlan
  const saveApiCall = async (input: SaveApiCallInput) =>
    (await app.query(SaveApiCall, { as, variables: { input } })).data.saveApiCall
  const removePlan = async (slug: string) =>
    (await app.query(RemovePlan, { as, variables: { slug } })).data.removePlan
  const removeApiCall = async (name: string) =>
    (await app.query(RemoveApiCall, { as, variables: { name } })).data.removeApiCall
  const apiCall = (name: string) => ({ name, title: 'Title', category: 'New', kind: 'READ' as const })

  it('a plan’s rate limit stays when it is left out, and goes when it is null', async () => {
    const plan = { slug: 'rated', name: 'Rated', maxApiKeys: 1 }
    const rateLimit = { calls: 10, perSeconds: 60 }
    expect(await savePlan(plan)).toMatchObject({ plan: { rateLimit: null } })
    expect(await savePlan({ ...plan, rateLimit })).toMatchObject({ plan: { rateLimit } })
    expect(await savePlan({ ...plan, name: 'Renamed' })).toMatchObject({
      plan: { name: 'Renamed', rateLimit },
    })
    expect(await savePlan({ ...plan, rateLimit: null })).toMatchObject({ plan: { rateLimit: null } })
  })

  it('what is left out of an API call stays, and what is null goes', async () => {
    const extras = {
      rateLimit: { calls: 2_147_483_647, perSeconds: 86_400 },
      ...{ method: 'GET', path: '/v4/things/:id', alwaysAllowed: true },
    }
    const none = { rateLimit: null, method: null, path: null }
    const plain = apiCall('v4.things.get')
    expect(await saveApiCall(plain)).toMatchObject({ apiCall: { ...plain, ...none, alwaysAllowed: false } })
    expect(await saveApiCall({ ...plain, ...extras })).toMatchObject({ apiCall: extras })
    expect(await saveApiCall({ ...plain, title: 'Other' })).toMatchObject({
      apiCall: { title: 'Other', ...extras },
    })
    expect(await saveApiCall({ ...plain, ...none, alwaysAllowed: null })).toMatchObject({
      apiCall: { ...none, alwaysAllowed: true },
    })
    expect(await saveApiCall({ ...plain, alwaysAllowed: false })).toMatchObject({
      apiCall: { alwaysAllowed: false },
    })
  })

  it('no two API calls have the same method and path, whatever their parameters are called', async () => {
    const first = { ...apiCall('v4.owner'), method: 'PUT', path: '/v4/owners/:id/cars/:car' }
    expect(await saveApiCall(first)).toHaveProperty('apiCall')
    for (const path of [first.path, '/v4/owners/:owner/cars/:id']) {
      expect(await saveApiCall({ ...first, name: 'v4.thief', path })).toMatchObject({
        __typename: 'InvalidInput',
        issues: [{ path: ['input', 'path'], message: expect.stringContaining('v4.owner') }],
      })
    }
    expect(await saveApiCall({ ...first, path: '/v4/owners/:owner/cars/:id' })).toHaveProperty('apiCall')
    for (const other of [
      { method: 'GET' },
      { path: '/v4/owners/:id/cars' },
      { path: '/v4/owners/id/cars/car' },
    ])
      expect(
        await saveApiCall({ ...first, name: JSON.stringify(other).replace(/\W/g, ''), ...other }),
      ).toHaveProperty('apiCall')
  })

  it('servers that save the same API call at once all succeed', async () => {
    const input = { ...apiCall('v4.at-once'), method: 'GET', path: '/v4/at-once' }
    const results = await Promise.all(Array.from({ length: 10 }, () => saveApiCall(input)))
    expect(new Set(results.map((result) => 'apiCall' in result && result.apiCall.id)).size).toBe(1)
  })

  it.each<[string, Partial<SaveApiCallInput>, string[]]>([
    ['a method without a path', { method: 'GET' }, ['path']],
    ['a path without a method', { path: '/v4' }, ['method']],
    ['a method with a null path', { method: 'GET', path: null }, ['path']],
    ['a null path alone', { path: null }, ['method']],
    ['a method in lower case', { method: 'get', path: '/v4' }, ['method']],
    ['an empty method', { method: '', path: '/v4' }, ['method']],
    ['an empty path', { method: 'GET', path: '' }, ['path']],
    ['a path without a slash', { method: 'GET', path: 'v4/x' }, ['path']],
    ['an empty segment', { method: 'GET', path: '/v4//x' }, ['path']],
    ['a parameter without a name', { method: 'GET', path: '/v4/:/x' }, ['path']],
    ['a dot segment', { method: 'GET', path: '/v4/../x' }, ['path']],
    ['a query', { method: 'GET', path: '/v4?x' }, ['path']],
    ['a wildcard', { method: 'GET', path: '/v4/*' }, ['path']],
    ['NUL', { method: 'GET', path: '/v4/\u0000' }, ['path']],
    ['a path of 501 characters', { method: 'GET', path: `/${'x'.repeat(500)}` }, ['path']],
    ['a rate of no calls', { rateLimit: { calls: 0, perSeconds: 1 } }, ['rateLimit', 'calls']],
    ['a negative rate', { rateLimit: { calls: -1, perSeconds: 1 } }, ['rateLimit', 'calls']],
    ['a rate in no time', { rateLimit: { calls: 1, perSeconds: 0 } }, ['rateLimit', 'perSeconds']],
    [
      'a rate over more than a day',
      { rateLimit: { calls: 1, perSeconds: 86_401 } },
      ['rateLimit', 'perSeconds'],
    ],
  ])('an API call with %s is refused, and nothing changes', async (_what, change, path) => {
    const result = await saveApiCall({ ...apiCall('v4.refused'), ...change })
    expect(result).toMatchObject({ __typename: 'InvalidInput', issues: [{ path: ['input', ...path] }] })
    expect(await removeApiCall('v4.refused')).toMatchObject({ __typename: 'NotFound' })
  })

  it.each([
    [{ calls: 0, perSeconds: 1 }, 'calls'],
    [{ calls: 1, perSeconds: 86_401 }, 'perSeconds'],
  ])('a plan with the rate limit %j is refused', async (rateLimit, field) => {
    const result = await savePlan({ slug: 'refused', name: 'Refused', maxApiKeys: 1, rateLimit })
    expect(result).toMatchObject({
      __typename: 'InvalidInput',
      issues: [{ path: ['input', 'rateLimit', field] }],
    })
    expect(await removePlan('refused')).toMatchObject({ __typename: 'NotFound' })
  })

  it('a plan goes once no account is on it, and until then the refusal names some that are', async () => {
    const accounts = Array.from({ length: 12 }, (_, i) => ({
      externalId: `on-plan-${i}`,
      name: 'x',
      plan: 'left',
    }))
    await savePlan({ slug: 'left', name: 'Left', maxApiKeys: 1 })
    await app.services.accounts.saveAll(accounts)
    const refused = await removePlan('left')
    expect(refused).toMatchObject({ __typename: 'InvalidInput', issues: [{ path: ['input', 'slug'] }] })
    const message = 'message' in refused ? refused.message : ''
    expect(message.match(/on-plan-\d+/g)).toHaveLength(10)
    expect(message).toContain('and others')
    await app.services.accounts.saveAll(accounts.map((account) => ({ ...account, plan: 'free' })))
    expect(await removePlan('left')).toHaveProperty('removedPlanId')
    expect(await removePlan('left')).toMatchObject({ __typename: 'NotFound' })
    expect(await app.services.prisma.plan.count({ where: { slug: 'left' } })).toBe(0)
  })

  it.each(['no-such-plan', 'No Slug', '\u0000'])('there is no plan %j to remove', async (slug) => {
    expect(await removePlan(slug)).toMatchObject({ __typename: 'NotFound' })
  })

  it('the plan that new customers start on stays', async () => {
    expect(await removePlan('free')).toMatchObject({
      __typename: 'InvalidInput',
      issues: [{ path: ['input', 'slug'], message: expect.stringContaining('DEFAULT_PLAN') }],
    })
  })

  it('an API call goes once no key is restricted to it; a removed key does not keep it', async () => {
    await saveApiCall(apiCall('v4.used'))
    const customer = await createCustomer(app, { maxApiKeys: 3 })
    const access = { mode: 'RESTRICTED' as const, apiCalls: ['v4.used'] }
    const { apiKey } = await customer.addApiKey({ access })
    expect(await removeApiCall('v4.used')).toMatchObject({
      __typename: 'InvalidInput',
      issues: [
        {
          path: ['input', 'name'],
          message: expect.stringContaining(`${apiKey.start} of ${customer.externalId}`),
        },
      ],
    })
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    expect(await removeApiCall('v4.used')).toHaveProperty('removedApiCallId')
    expect(await removeApiCall('v4.used')).toMatchObject({ __typename: 'NotFound' })
  })

  it.each(['no.such.call', 'has space', '\u0000'])('there is no API call %j to remove', async (name) => {
    expect(await removeApiCall(name)).toMatchObject({ __typename: 'NotFound' })
  })

  it('only operators may', async () => {
    const customer = await createCustomer(app)
    for (const [document, variables] of [
      [RemovePlan, { slug: 'enterprise' }],
      [RemoveApiCall, { name: 'v3.ping' }],
    ] as const) {
      const { errors } = await app.query<unknown, unknown>(document as never, {
        as: customer.token,
        variables,
      })
      expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
    }
  })
})
