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

describe('an operation that costs too much', () => {
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
    ['of many thousand levels', () => `{ ${nested(4_900, 'account', 'id')} }`],
    [
      'with lists of many thousand levels',
      () => `{ nodes(ids: ${'['.repeat(4_000)}${']'.repeat(4_000)}) { id } }`,
    ],
    ['that is too wide', () => `{ ${times(301, (i) => `a${i}: viewer { subject }`)} }`],
    ['with 10,000 aliases of a field', () => `{ ${times(10_000, (i) => `a${i}: viewer { subject }`)} }`],
    ['with 10,000 aliases of __typename', () => `{ ${times(10_000, (i) => `a${i}: __typename`)} }`],
    ['that asks for the same thing 2,400 times', () => `{ ${times(2_400, () => 'viewer { subject }')} }`],
    [
      'whose lists multiply',
      () =>
        '{ account { apiKeys { nodes { account { apiKeys { nodes { usageHistory(months: 120) { calls } } } } } } } }',
    ],
    [
      'that multiplies by fragments',
      () => `{ ...A } fragment A on Query { ${times(20, (i) => `a${i}: account { ...B }`)} }
      fragment B on Account { ${times(20, (i) => `b${i}: usage { calls }`)} }`,
    ],
    ['with 301 aliases of __typename', () => `{ ${times(301, (i) => `a${i}: __typename`)} }`],
    [
      'with aliases that fragments multiply',
      () => `{ ...A ...B } fragment A on Query { ${times(20, (i) => `a${i}: account { ...C }`)} }
      fragment B on Query { ${times(20, (i) => `a${i}: account { ...C }`)} }
      fragment C on Account { ${times(10, (i) => `c${i}: id`)} }`,
    ],
    ['with 51 directives', () => `{ ${times(51, (i) => `a${i}: __typename @include(if: true)`)} }`],
    ['with 4,000 directives that there are not', () => `{ __typename ${times(4_000, (i) => `@d${i}`)} }`],
    ['of a million characters', () => `{ ${'viewer { subject } '.repeat(50_000)} }`],
  ])('%s is refused as too complex', async (_, query) => {
    const answer = await send(query(), customer)
    expectRefusal(answer, 'QUERY_TOO_COMPLEX')
    expect(answer.text).toMatch(/Ask for less/)
    expect(new Set(Object.values(answer.data ?? {}))).toEqual(new Set(answer.data ? [null] : []))
  })

  it.each([10_000, 301])('with %i calls to meter counts none of them', async (count) => {
    const before = await contentsOf(app)
    expectRefusal(await metering(count), 'QUERY_TOO_COMPLEX')
    expect(await contentsOf(app)).toEqual(before)
  })

  it('is refused before anybody asks who sent it', async () => {
    expectRefusal(await post(app, { query: `{ ${nested(4_900, 'account', 'id')} }` }), 'QUERY_TOO_COMPLEX')
  })

  it.each([
    [
      'fragments that lead back to themselves',
      '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
    ],
    ['a fragment that contains itself', '{ account { ...A } } fragment A on Account { id ...A }'],
    ['a field that there is not', '{ nonsense }'],
    ['many fields that there are not', `{ ${times(5_000, (i) => `f${i}`)} }`],
    ['a comment and nothing else', '# nothing'],
  ])('is told apart from a mistake: %s', async (_, query) => {
    expectRefusal(await send(query, customer), 'BAD_USER_INPUT')
  })

  it('leaves room for a page of keys with everything on it', async () => {
    const query = `{ account { apiKeys(first: 100) { totalCount pageInfo { hasNextPage endCursor } edges { cursor
      node { id note start secret access { mode apiCalls { name } } usage { calls } lastCallAt createdAt } } } } }`
    expect((await send(query, customer)).errors).toBeUndefined()
    expect((await metering(100)).errors).toBeUndefined()
  })

  it('does not stay in memory', async () => {
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

describe('a mistake', () => {
  const mistakes: [string, string, object][] = [
    ['of a field', '{ viewer { subjec } }', {}],
    ['of a type', '{ account { ... on Acount { id } } }', {}],
    ['of an argument', '{ account { apiKeys(firs: 1) { totalCount } } }', {}],
    [
      'of an enum value',
      'mutation { configureApiKeyAccess(input: { id: "x", access: { mode: FUL } }) { __typename } }',
      {},
    ],
    [
      'of a variable',
      'mutation ($access: ApiKeyAccessInput!) { configureApiKeyAccess(input: { id: "x", access: $access }) { __typename } }',
      { access: { mode: 'FUL' } },
    ],
    [
      'of a variable’s field',
      'mutation ($access: ApiKeyAccessInput!) { configureApiKeyAccess(input: { id: "x", access: $access }) { __typename } }',
      { access: { mode: 'FULL', apiCall: [] } },
    ],
  ]

  it.each([
    ['on', true],
    ['off', false],
  ] as const)('is told with what may have been meant only with GRAPHIQL=%s', async (graphiql, suggests) => {
    const app = await startApp({ environment: { GRAPHIQL: graphiql } })
    const { token } = await createCustomer(app)
    for (const [what, query, variables] of mistakes) {
      const answer = await post(app, { query, variables }, { authorization: `Bearer ${token}` })
      expectRefusal(answer, 'BAD_USER_INPUT')
      expect([what, /did you mean/i.test(answer.text)]).toEqual([what, suggests])
    }
    await app.stop()
  })
})
