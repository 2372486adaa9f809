import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { globalIdOf } from '../../src/schema/global-id.ts'
import { databases, startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import { contentsOf, expectNothingInternal, expectRefusal, post } from '../support/http.ts'

/** Text that must not be stored. PostgreSQL would refuse or alter some of it. */
const unstorable = { NUL: 'a\u0000b', 'a lone surrogate': 'a\ud800b', 'a control character': 'a\u001bb' }
const unstorableTexts = Object.entries(unstorable)

const unknownId = globalIdOf('ApiKey', '018f0000-0000-7000-8000-000000000000')
const planId = globalIdOf('Plan', '018f0000-0000-7000-8000-000000000000')
const badIds = ['', 'garbage', '🔑', unknownId, planId, 'QXBpS2V5', 'QXBpS2V5OjE', `${unknownId}\u0000`]
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe.each(databases)('on %s, bad input', (database) => {
  let app: TestApp
  let customer: string
  let operator: string
  let gateway: string
  let apiKeyId: string
  let secret: string
  let before: Awaited<ReturnType<typeof contentsOf>>

  beforeAll(async () => {
    app = await startApp({ database })
    operator = await app.token({ scopes: ['admin'] })
    const owner = await createCustomer(app, {})
    customer = owner.token
    gateway = (await createGateway(app)).token
    const added = await owner.addApiKey({ note: 'first' })
    apiKeyId = added.apiKey.id
    secret = added.secret
  })
  afterAll(() => app.stop())
  beforeEach(async () => {
    before = await contentsOf(app)
  })
  afterEach(async () => {
    expect(await contentsOf(app)).toEqual(before)
  })

  const send = (query: string, variables?: object, as = customer) =>
    post(app, { query, variables }, { authorization: `Bearer ${as}` })

  /** The result of the mutation's only field, which must be data and not an error. */
  async function outcomeOf(mutation: string, inputType: string, input: object, as = customer) {
    const neverInvalid = mutation === 'regenerateApiKey' || mutation === 'removeApiKey'
    const issues = neverInvalid ? '' : '... on InvalidInput { issues { path message } }'
    const details = `__typename ... on Error { message } ${issues}`
    const query = `mutation ($input: ${inputType}!) { outcome: ${mutation}(input: $input) { ${details} } }`
    const answer = await send(query, { input }, as)
    expect(answer.errors).toBeUndefined()
    expectNothingInternal(answer.text)
    return (
      answer.data as { outcome: { __typename: string; issues?: { path: string[]; message: string }[] } }
    ).outcome
  }

  async function expectInvalid(
    mutation: string,
    inputType: string,
    input: object,
    paths: string[],
    as?: string,
  ) {
    const { __typename, issues = [] } = await outcomeOf(mutation, inputType, input, as)
    expect(__typename).toBe('InvalidInput')
    expect(issues.map(({ path }) => path.join('.'))).toEqual(paths)
    for (const { message } of issues) expect(message.length).toBeGreaterThan(10)
  }

  it.each([
    ['a variable of the wrong type', 'query ($id: ID!) { apiKey(id: $id) { id } }', { id: { no: 'text' } }],
    ['a missing variable', 'query ($id: ID!) { apiKey(id: $id) { id } }', {}],
    ['an undeclared variable', '{ apiKey(id: $id) { id } }', { id: 'x' }],
    ['null for a required variable', 'query ($id: ID!) { apiKey(id: $id) { id } }', { id: null }],
    [
      'an unknown input field',
      'mutation ($i: AddApiKeyInput!) { addApiKey(input: $i) { __typename } }',
      { i: { no: 1 } },
    ],
    [
      'an unknown enum value',
      'mutation ($i: AddApiKeyInput!) { addApiKey(input: $i) { __typename } }',
      { i: { access: { mode: 'SOME' } } },
    ],
    ['an unknown argument', '{ account(no: 1) { id } }', {}],
    ['an unknown type', 'query ($no: Nothing) { account { id } }', {}],
    ['an integer that is too large', '{ account { apiKeys(first: 3000000000) { totalCount } } }', {}],
    ['a month that does not exist', '{ account { usage(month: "2026-13") { calls } } }', {}],
    ['a month that is not a string', '{ account { usage(month: 202601) { calls } } }', {}],
    [
      'a malformed month in a variable',
      'query ($m: Month) { account { usage(month: $m) { calls } } }',
      { m: '2026-1' },
    ],
  ])('is refused: %s', async (_, query, variables) => {
    expectRefusal(await send(query, variables), 'BAD_USER_INPUT')
  })

  it.each([
    'first: 0',
    'first: 101',
    'first: -1',
    'last: 0',
    'last: 101',
    'first: 1, last: 1',
    'first: 1, before: "x"',
    'after: "garbage"',
    'after: ""',
    `after: "${base64('GPC:S:1')}"`,
    `after: "${base64('GPC:S:')}"`,
    `after: "${base64('GPC:N:1')}"`,
    `after: "${unknownId}"`,
    `before: "${base64("GPC:S:' or 1=1 --")}"`,
    'after: "\\u0000"',
  ])('is refused as the arguments of a page: %s', async (page) => {
    expectRefusal(
      await send(`{ account { apiKeys(${page}) { totalCount nodes { id } } } }`),
      'BAD_USER_INPUT',
    )
    const accounts = await send(`{ accounts(${page}) { totalCount nodes { id } } }`, {}, operator)
    expectRefusal(accounts, 'BAD_USER_INPUT')
  })

  it.each([0, -1, 121])('is refused: %i months of history', async (months) => {
    const answer = await send(
      `{ account { apiKeys { nodes { usageHistory(months: ${months}) { calls } } } } }`,
    )
    expectRefusal(answer, 'BAD_USER_INPUT')
  })

  it('is refused: more than 100 ids, or more than 1,000 calls', async () => {
    const ids = (count: number) => ({ ids: Array.from({ length: count }, () => apiKeyId) })
    const nodes = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }'
    expect((await send(nodes, ids(100))).data).toMatchObject({ nodes: { length: 100 } })
    expectRefusal(await send(nodes, ids(101)), 'BAD_USER_INPUT')
    const calls = Array.from({ length: 1_001 }, () => ({ secret, apiCall: 'v3.ping' }))
    const meter =
      'mutation ($calls: [MeterApiCallInput!]!) { meterApiCalls(input: { calls: $calls }) { decisions { code } } }'
    expectRefusal(await send(meter, { calls }, gateway), 'BAD_USER_INPUT')
  })

  it.each(badIds)('finds nothing as an id: %j', async (id) => {
    const query = 'query ($id: ID!) { apiKey(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }'
    expect((await send(query, { id })).data).toEqual({ apiKey: null, node: null, nodes: [null] })
    for (const [mutation, type, rest] of [
      ['regenerateApiKey', 'RegenerateApiKeyInput', {}],
      ['setApiKeyNote', 'SetApiKeyNoteInput', { note: 'x' }],
      ['configureApiKeyAccess', 'ConfigureApiKeyAccessInput', { access: { mode: 'FULL' } }],
      ['removeApiKey', 'RemoveApiKeyInput', {}],
    ] as const)
      expect((await outcomeOf(mutation, type, { id, ...rest })).__typename).toBe('NotFound')
    for (const as of [customer, operator])
      expect((await outcomeOf('addApiKey', 'AddApiKeyInput', { accountId: id }, as)).__typename).toBe(
        'NotFound',
      )
  })

  it.each([
    ...unstorableTexts,
    ['5,000 characters', 'x'.repeat(5_000)],
    ['201 characters', '🔑'.repeat(201)],
    ['two lines', 'one\ntwo'],
  ])('is refused as a note: %s', async (_, note) => {
    await expectInvalid('setApiKeyNote', 'SetApiKeyNoteInput', { id: apiKeyId, note }, ['input.note'])
    await expectInvalid('addApiKey', 'AddApiKeyInput', { note }, ['input.note'])
  })

  it.each(unstorableTexts)('is refused as any other text, or matches nothing: %s', async (_, text) => {
    expectRefusal(
      await send('query ($s: String) { account { apiKeys(search: $s) { totalCount } } }', { s: text }),
      'BAD_USER_INPUT',
    )
    expectRefusal(
      await send('query ($s: String) { accounts(search: $s) { totalCount } }', { s: text }, operator),
      'BAD_USER_INPUT',
    )
    expectRefusal(
      await send('query ($s: String) { account(externalId: $s) { id } }', { s: text }, operator),
      'BAD_USER_INPUT',
    )
    expectRefusal(
      await send('query ($s: String) { apiCalls(category: $s) { name } }', { s: text }),
      'BAD_USER_INPUT',
    )
    const account = { externalId: text, name: text, plan: 'free' }
    await expectInvalid(
      'saveAccount',
      'SaveAccountInput',
      account,
      ['input.externalId', 'input.name'],
      operator,
    )
    const plan = { slug: text, name: text, maxApiKeys: 1 }
    await expectInvalid('savePlan', 'SavePlanInput', plan, ['input.slug', 'input.name'], operator)
    const apiCall = { name: text, title: text, category: text, kind: 'READ' }
    const paths = ['input.name', 'input.title', 'input.category']
    await expectInvalid('saveApiCall', 'SaveApiCallInput', apiCall, paths, operator)
    const meter = 'mutation ($i: MeterApiCallInput!) { meterApiCall(input: $i) { code } }'
    for (const [i, code] of [
      [{ secret: text, apiCall: 'v3.ping' }, 'KEY_INVALID'],
      [{ secret: secret + text, apiCall: 'v3.ping' }, 'KEY_INVALID'],
      [{ secret, apiCall: text }, 'API_CALL_UNKNOWN'],
    ] as const)
      expect((await send(meter, { i }, gateway)).data).toEqual({ meterApiCall: { code } })
  })

  it('is refused as a plan, with every broken rule listed', async () => {
    const plan = { slug: 'Not A Slug', name: ' ', maxApiKeys: -1, monthlyCallQuota: -1 }
    const paths = ['input.slug', 'input.name', 'input.maxApiKeys', 'input.monthlyCallQuota']
    await expectInvalid('savePlan', 'SavePlanInput', plan, paths, operator)
    const save = 'mutation ($input: SavePlanInput!) { savePlan(input: $input) { __typename } }'
    for (const monthlyCallQuota of [1.5, 2 ** 53, '1', true])
      expectRefusal(
        await send(save, { input: { slug: 's', name: 'n', maxApiKeys: 1, monthlyCallQuota } }, operator),
        'BAD_USER_INPUT',
      )
  })

  it.each(['nonsense', '', 'free ', ...Object.values(unstorable)])(
    'is refused as an account’s plan: %j',
    async (plan) => {
      for (const externalId of ['a-new-customer', 'customer-1'])
        await expectInvalid(
          'saveAccount',
          'SaveAccountInput',
          { externalId, name: 'Name', plan },
          ['input.plan'],
          operator,
        )
    },
  )

  it('is refused as a key’s access, with every unknown API call listed', async () => {
    const unknown = ['v3.nonsense', '', 'V3.PING', ...Object.values(unstorable)]
    const access = { mode: 'RESTRICTED', apiCalls: ['v3.ping', ...unknown] }
    for (const [mutation, type, input] of [
      ['configureApiKeyAccess', 'ConfigureApiKeyAccessInput', { id: apiKeyId, access }],
      ['addApiKey', 'AddApiKeyInput', { access }],
    ] as const) {
      const { __typename, issues } = await outcomeOf(mutation, type, input)
      expect(__typename).toBe('InvalidInput')
      expect(issues?.map(({ message }) => message)).toEqual(
        unknown.map((name) => `The catalogue has no API call named ${JSON.stringify(name)}.`),
      )
    }
  })

  it.each([
    ['API calls with FULL', { mode: 'FULL', apiCalls: ['v3.ping'] }],
    ['an empty list with FULL', { mode: 'FULL', apiCalls: [] }],
    ['no API calls with RESTRICTED', { mode: 'RESTRICTED' }],
    ['null with RESTRICTED', { mode: 'RESTRICTED', apiCalls: null }],
    ['1,001 API calls', { mode: 'RESTRICTED', apiCalls: Array.from({ length: 1_001 }, (_, i) => `a${i}`) }],
  ])('is refused as a key’s access: %s', async (_, access) => {
    const path = ['input.access.apiCalls']
    await expectInvalid('configureApiKeyAccess', 'ConfigureApiKeyAccessInput', { id: apiKeyId, access }, path)
    await expectInvalid('addApiKey', 'AddApiKeyInput', { access }, path)
  })
})
