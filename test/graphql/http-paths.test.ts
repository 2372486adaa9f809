import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { answerOf, expectNothingInternal, type HttpAnswer } from '../support/http.ts'
import { liveUsageDocument } from '../support/websocket.ts'

const largestBody = 1_048_576

/** A request, however it is sent. */
interface Request {
  body: string | object
  /** By default a customer. */
  as?: 'nobody' | 'a bad token' | 'a gateway'
}

interface Way {
  headers: Record<string, string>
  search?: string
}

const json = 'application/json'
const graphqlResponse = 'application/graphql-response+json'

/** JSON in, JSON out: the fast path. */
const fast: Way = { headers: { 'content-type': json, accept: json } }

/** Equivalent requests whose headers or URL differ. The server may answer them on another path. */
const others: Record<string, Way> = {
  'a list of types to accept': {
    headers: { 'content-type': json, accept: `${json}, ${graphqlResponse};q=0.1` },
  },
  'event streams accepted as well': {
    headers: { 'content-type': json, accept: `${json}, text/event-stream` },
  },
  'another spelling of the content type': {
    headers: { 'content-type': `${json};charset=UTF-8`, accept: json },
  },
  'another content type': { headers: { 'content-type': 'application/graphql+json', accept: json } },
  'a query string': { ...fast, search: '?unused' },
}

const viewer = '{ viewer { subject scopes } }'
const note =
  'mutation Note($id: ID!, $note: String) { setApiKeyNote(input: { id: $id, note: $note }) { __typename } }'
const meter =
  'mutation ($i: MeterApiCallInput!) { meterApiCall(input: $i) { code message accountUsage { calls } } }'
const two = 'query A { viewer { subject } } query B { __typename }'

/** None of these changes the response to a later one, so their order does not matter. */
const corpus: [string, Request][] = [
  ['a query', { body: { query: viewer } }],
  ['a query without a token', { body: { query: viewer }, as: 'nobody' }],
  ['a query with a bad token', { body: { query: viewer }, as: 'a bad token' }],
  ['__typename without a token', { body: { query: '{ __typename }' }, as: 'nobody' }],
  [
    'introspection',
    { body: { query: '{ __schema { queryType { name } } __type(name: "Query") { name } }' } },
  ],
  ['a field that the token’s scopes do not allow', { body: { query: '{ accounts { totalCount } }' } }],
  [
    'one field that the token’s scopes allow and one that they do not',
    { body: { query: '{ viewer { subject } accounts { totalCount } }' } },
  ],
  ['a mutation that finds nothing', { body: { query: note, variables: { id: 'x', note: 'y' } } }],
  ['a mutation with an invalid input', { body: { query: note, variables: { id: 'x', note: 'a\u0000b' } } }],
  [
    'a call that is refused',
    { body: { query: meter, variables: { i: { secret: 'x', apiCall: 'v3.ping' } } }, as: 'a gateway' },
  ],
  [
    'a call with a token that may not meter',
    { body: { query: meter, variables: { i: { secret: 'x', apiCall: 'v3.ping' } } } },
  ],
  [
    'aliases and fragments',
    {
      body: {
        query:
          'query ($no: Boolean = false) { a: viewer { ...F } b: viewer { subject @include(if: $no) scopes } } fragment F on Viewer { subject }',
      },
    },
  ],
  ['one of two operations', { body: { query: two, operationName: 'B' } }],
  ['null as the operation name', { body: { query: viewer, operationName: null } }],
  ['two operations and no name', { body: { query: two } }],
  ['two operations and an empty name', { body: { query: two, operationName: '' } }],
  ['an unknown operation name', { body: { query: two, operationName: 'C' } }],
  ['a document without an operation', { body: { query: 'fragment F on Query { viewer { subject } }' } }],
  ['a syntax error', { body: { query: '{ viewer {' } }],
  ['a field that does not exist', { body: { query: '{ nonsense }' } }],
  ['an argument that does not exist', { body: { query: '{ account(no: 1) { id } }' } }],
  ['an argument out of range', { body: { query: '{ account { apiKeys(first: 0) { totalCount } } }' } }],
  ['null as the variables', { body: { query: viewer, variables: null } }],
  ['variables that are not declared', { body: { query: viewer, variables: { unused: 1 } } }],
  ['a variable of the wrong type', { body: { query: note, variables: { id: { not: 'text' } } } }],
  ['a variable that is missing', { body: { query: note, variables: {} } }],
  ['null for a required variable', { body: { query: note, variables: { id: null } } }],
  [
    'an unknown field in an input',
    { body: { query: meter, variables: { i: { secret: 'x', apiCall: 'y', no: 1 } } } },
  ],
  [
    'an operation that is too deep',
    { body: { query: `{ ${'account { apiKeys { nodes { '.repeat(5)} id ${'} } } '.repeat(5)} }` } },
  ],
  [
    'an operation with too many aliases',
    { body: { query: `{ ${Array.from({ length: 301 }, (_, i) => `a${i}: __typename`).join(' ')} }` } },
  ],
  ['an operation with too many tokens', { body: { query: `{ ${'viewer { subject } '.repeat(4_000)} }` } }],
  ['a subscription that accepts JSON', { body: { query: liveUsageDocument } }],
  ['a subscription without a token', { body: { query: liveUsageDocument }, as: 'nobody' }],
  ['an unknown parameter', { body: { query: viewer, nonsense: 1 } }],
  ['a parameter named __proto__', { body: `{"query":${JSON.stringify(viewer)},"__proto__":{"query":1}}` }],
  ['a duplicate parameter', { body: `{"query":"{ nonsense }","query":${JSON.stringify(viewer)}}` }],
  ['null as the extensions', { body: { query: viewer, extensions: null } }],
  ['extensions', { body: { query: viewer, extensions: { persistedQuery: { version: 1 } } } }],
  ['extensions that are not an object', { body: { query: viewer, extensions: 'x' } }],
  ['variables that are a string', { body: { query: viewer, variables: '{}' } }],
  ['variables that are a list', { body: { query: viewer, variables: [] } }],
  ['an operation name that is a number', { body: { query: viewer, operationName: 1 } }],
  ['a query that is a number', { body: { query: 1 } }],
  ['null as the query', { body: { query: null } }],
  ['an empty query', { body: { query: '' } }],
  ['no query', { body: { variables: {} } }],
  ['a batch of operations', { body: [{ query: viewer }, { query: viewer }] }],
  ['an empty batch', { body: [] }],
  ['null', { body: 'null' }],
  ['a string', { body: '"query"' }],
  ['truncated JSON', { body: '{"query":' }],
  ['JSON with a byte order mark', { body: `\ufeff{"query":${JSON.stringify(viewer)}}` }],
  ['an empty body', { body: '' }],
  ['a body that is too large', { body: { query: viewer, variables: { filler: 'x'.repeat(largestBody) } } }],
]

describe('a request over HTTP', () => {
  let app: TestApp
  let tokenOf: Record<string, string>

  beforeAll(async () => {
    app = await startApp()
    const customer = (await createCustomer(app, {})).token
    tokenOf = {
      customer,
      'a bad token': 'garbage',
      'a gateway': await app.token({ scopes: ['calls:meter'] }),
    }
  })
  afterAll(() => app.stop())

  function authorizationOf({ as = 'customer' }: { as?: string }): Record<string, string> {
    return as === 'nobody' ? {} : { authorization: `Bearer ${tokenOf[as]}` }
  }

  async function send(request: Request, { headers, search = '' }: Way): Promise<HttpAnswer> {
    const { body } = request
    return await answerOf(
      await fetch(`${app.url}/graphql${search}`, {
        method: 'POST',
        headers: { ...authorizationOf(request), ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    )
  }

  /** Sends the request by GET, with its parameters in the query string. Undefined if GET cannot express it. */
  async function get(request: Request): Promise<HttpAnswer | undefined> {
    const { query, variables, operationName, extensions, ...unknown } = request.body as Record<
      string,
      unknown
    >
    if (typeof query !== 'string' || query === '' || query.startsWith('mutation')) return undefined
    if (typeof (operationName ?? '') !== 'string' || Object.keys(unknown).length > 0) return undefined
    const search = new URLSearchParams({ query })
    if (typeof operationName === 'string') search.set('operationName', operationName)
    if (variables) search.set('variables', JSON.stringify(variables))
    if (extensions) search.set('extensions', JSON.stringify(extensions))
    // Beyond MAX_HEADER_BYTES, it would be refused for its length.
    if (String(search).length > 10_000) return undefined
    const headers = { accept: json, ...authorizationOf(request) }
    return await answerOf(await fetch(`${app.url}/graphql?${search}`, { headers }))
  }

  /** The parts of a response that clients rely on. */
  function essenceOf({ status, text, headers }: HttpAnswer) {
    const names = ['content-type', 'allow', 'www-authenticate']
    return { status, body: JSON.parse(text), headers: names.map((name) => headers.get(name)) }
  }

  it.each(corpus)('gets the same response on every path: %s', async (_, request) => {
    const expected = await send(request, fast)
    expectNothingInternal(expected.text)
    // The second time, the document is cached and the operation may be compiled.
    expect(essenceOf(await send(request, fast))).toEqual(essenceOf(expected))
    for (const [name, way] of Object.entries(others)) {
      const isStream = name.startsWith('event streams') && JSON.stringify(request).includes('subscription')
      if (!isStream) expect([name, essenceOf(await send(request, way))]).toEqual([name, essenceOf(expected)])
    }
    const byGet = await get(request)
    if (byGet) expect(essenceOf(byGet)).toEqual(essenceOf(expected))

    // GraphQL over HTTP, 6.4: with this type, a response without data has an error status. The list takes another path.
    const [own, listed] = await Promise.all(
      [graphqlResponse, `${graphqlResponse}, ${json};q=0.1`].map((accept) =>
        send(request, { headers: { ...fast.headers, accept } }),
      ),
    )
    expect(essenceOf(listed as HttpAnswer)).toEqual(essenceOf(own as HttpAnswer))
    expect(JSON.parse(own?.text ?? '')).toEqual(JSON.parse(expected.text))
    if (own?.data === undefined) expect(own?.status).toBeGreaterThanOrEqual(400)
    else expect([own.status, expected.status]).toEqual([200, 200])
  })

  it.each(Object.entries({ 'the fast path': fast, ...others }))(
    'is executed exactly once, as a mutation with %s',
    async (_, way) => {
      const count = async () => {
        const { data } = await send({ body: { query: '{ account { apiKeys { totalCount } } }' } }, fast)
        return (data as { account: { apiKeys: { totalCount: number } } }).account.apiKeys.totalCount
      }
      const before = await count()
      const { data } = await send(
        { body: { query: 'mutation { addApiKey(input: {}) { __typename } }' } },
        way,
      )
      expect(data).toEqual({ addApiKey: { __typename: 'AddApiKeyPayload' } })
      expect(await count()).toBe(before + 1)
    },
  )
})
