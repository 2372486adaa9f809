import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import { contentsOf, expectRefusal, post } from '../support/http.ts'

const times = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ')
const nested = (depth: number, field: string, leaf: string) =>
  `${`${field} {`.repeat(depth)} ${leaf} ${'}'.repeat(depth)}`

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('the GraphQL server', () => {
  let app: TestApp
  let customer: string
  let gateway: string
  let secret: string

  beforeAll(async () => {
    app = await startApp()
    const owner = await createCustomer(app, {})
    customer = owner.token
    gateway = (await createGateway(app)).token
    secret = (await owner.addApiKey()).secret
  })
  afterAll(() => app.stop())

  const send = (query: string, token: string, variables?: object) =>
    post(app, { query, variables }, { authorization: `Bearer ${token}` })

  const meter = (index: number) => `m${index}: meterApiCall(input: $call) { code }`
  const metering = (count: number) =>
    send(`mutation ($call: MeterApiCallInput!) { ${times(count, meter)} }`, gateway, {
      call: { secret, apiCall: 'v3.ping' },
    })

  it.each<[string, () => string]>([
    [
      'that is too deep',
      () => `{ account { ${'apiKeys { nodes { account { '.repeat(5)} id ${'}}}'.repeat(5)} } }`,
    ],
    ['that is thousands of levels deep', () => `{ ${nested(4_900, 'account', 'id')} }`],
    [
      'with lists nested thousands of levels deep',
      () => `{ nodes(ids: ${'['.repeat(4_000)}${']'.repeat(4_000)}) { id } }`,
    ],
    ['that is too wide', () => `{ ${times(301, (i) => `a${i}: viewer { subject }`)} }`],
    ['with 10,000 aliases of one field', () => `{ ${times(10_000, (i) => `a${i}: viewer { subject }`)} }`],
    ['with 10,000 aliases of __typename', () => `{ ${times(10_000, (i) => `a${i}: __typename`)} }`],
    ['that selects one field 2,400 times', () => `{ ${times(2_400, () => 'viewer { subject }')} }`],
    [
      'whose lists multiply',
      () =>
        '{ account { apiKeys { nodes { account { apiKeys { nodes { usageHistory(months: 120) { calls } } } } } } } }',
    ],
    [
      'whose fragments multiply',
      () => `{ ...A } fragment A on Query { ${times(20, (i) => `a${i}: account { ...B }`)} }
      fragment B on Account { ${times(20, (i) => `b${i}: usage { calls }`)} }`,
    ],
    ['with 301 aliases of __typename', () => `{ ${times(301, (i) => `a${i}: __typename`)} }`],
    [
      'whose fragments multiply aliases',
      () => `{ ...A ...B } fragment A on Query { ${times(20, (i) => `a${i}: account { ...C }`)} }
      fragment B on Query { ${times(20, (i) => `a${i}: account { ...C }`)} }
      fragment C on Account { ${times(10, (i) => `c${i}: id`)} }`,
    ],
    [
      'with 501 selections',
      () => `{ ${times(167, () => 'viewer { ...A subject }')} } fragment A on Viewer { subject }`,
    ],
    ['with 51 directives', () => `{ ${times(51, (i) => `a${i}: __typename @include(if: true)`)} }`],
    ['with 4,000 unknown directives', () => `{ __typename ${times(4_000, (i) => `@d${i}`)} }`],
    ['of a million characters', () => `{ ${'viewer { subject } '.repeat(50_000)} }`],
  ])('refuses as too complex an operation %s', async (_, query) => {
    const answer = await send(query(), customer)
    expectRefusal(answer, 'QUERY_TOO_COMPLEX')
    expect(answer.text).toMatch(/Ask for less/)
    expect(new Set(Object.values(answer.data ?? {}))).toEqual(new Set(answer.data ? [null] : []))
  })

  it.each([10_000, 301])('counts none of the calls of a mutation that meters %i times', async (count) => {
    const before = await contentsOf(app)
    expectRefusal(await metering(count), 'QUERY_TOO_COMPLEX')
    expect(await contentsOf(app)).toEqual(before)
  })

  it('refuses a complex operation as such without a token, too', async () => {
    expectRefusal(await post(app, { query: `{ ${nested(1_500, 'account', 'id')} }` }), 'QUERY_TOO_COMPLEX')
  })

  it.each([
    ['a cycle of fragments', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'],
    ['a fragment that spreads itself', '{ account { ...A } } fragment A on Account { id ...A }'],
    ['an unknown field', '{ nonsense }'],
    ['500 unknown fields', `{ ${times(500, (i) => `f${i}`)} }`],
    ['only a comment', '# nothing'],
  ])('refuses a document as invalid, not as too complex: %s', async (_, query) => {
    expectRefusal(await send(query, customer), 'BAD_USER_INPUT')
  })

  it('admits a full page of keys with every field, and 100 metered calls', async () => {
    const query = `{ account { apiKeys(first: 100) { totalCount pageInfo { hasNextPage endCursor } edges { cursor
      node { id note start secret access { mode apiCalls { name } } usage { calls } lastCallAt createdAt } } } } }`
    expect((await send(query, customer)).errors).toBeUndefined()
    expect((await metering(100)).errors).toBeUndefined()
  })

  it('keeps no long document in memory', async () => {
    const heapAfter = async (round: number) => {
      for (let i = 0; i < 12; i++) {
        const query = `{ viewer { subject } } # ${round} ${i} ${'x'.repeat(1_000_000)}`
        expect((await send(query, customer)).status).toBe(200)
        expectRefusal(await send(query.slice(1), customer), 'BAD_USER_INPUT')
      }
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    const before = await heapAfter(0)
    expect((await heapAfter(1)) - before).toBeLessThan(8_000_000)
  })
})

describe('a misspelled name', () => {
  const mistakes: [string, string, object][] = [
    ['in a field', '{ viewer { subjec } }', {}],
    ['in a type', '{ account { ... on Acount { id } } }', {}],
    ['in an argument', '{ account { apiKeys(firs: 1) { totalCount } } }', {}],
    [
      'in an enum value',
      'mutation { configureApiKeyAccess(input: { id: "x", access: { mode: FUL } }) { __typename } }',
      {},
    ],
    [
      'in a variable',
      'mutation ($access: ApiKeyAccessInput!) { configureApiKeyAccess(input: { id: "x", access: $access }) { __typename } }',
      { access: { mode: 'FUL' } },
    ],
    [
      'in a field of a variable',
      'mutation ($access: ApiKeyAccessInput!) { configureApiKeyAccess(input: { id: "x", access: $access }) { __typename } }',
      { access: { mode: 'FULL', apiCall: [] } },
    ],
  ]

  it('is answered with at most 1,000 characters a message, whatever the client sent', async () => {
    const app = await startApp({ environment: { GRAPHIQL: 'off' } })
    const { token } = await createCustomer(app)
    const long = ' Did you mean '.repeat(11_500)
    const variables = { access: { mode: long } }
    const query = mistakes.at(-1)?.[1]
    for (const body of [
      { query, variables },
      { query, [long]: 1 },
      { query: `{ ${'viewer'.repeat(20_000)} }` },
    ]) {
      const answer = await post(app, body, { authorization: `Bearer ${token}` })
      expectRefusal(answer, 'BAD_USER_INPUT')
      const [error] = answer.errors ?? []
      expect(error?.message.length).toBeLessThanOrEqual(1_001)
      expect(answer.text.length).toBeLessThan(5_000)
    }
    await app.stop()
  })

  it.each([
    ['on', true],
    ['off', false],
  ] as const)(
    'is answered with a suggestion only if GraphiQL is on: GRAPHIQL=%s',
    async (graphiql, suggests) => {
      const app = await startApp({ environment: { GRAPHIQL: graphiql } })
      const { token } = await createCustomer(app)
      for (const [what, query, variables] of mistakes) {
        const answer = await post(app, { query, variables }, { authorization: `Bearer ${token}` })
        expectRefusal(answer, 'BAD_USER_INPUT')
        expect([what, /did you mean/i.test(answer.text)]).toEqual([what, suggests])
      }
      await app.stop()
    },
  )
})
