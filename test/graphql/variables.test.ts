import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTooManyValues } from '../../src/graphql/variables.ts'
import { errorLimits, operationLimits } from '../../src/limits.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { post } from '../support/http.ts'
import { closeOf, openRawConnection } from '../support/websocket.ts'

/** More runs than it takes for an operation that only meters to be compiled. */
const runs = 25

const query =
  'mutation ($calls: [MeterApiCallInput!]!) { meterApiCalls(input: { calls: $calls }) { decisions { code } } }'

const unknownFields = (count: number) => [
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i])),
]
const emptyInputs = (count: number) => Array.from({ length: count }, () => ({}))

/** Enough for 50 errors of the longest message, each with a place in the document. */
const longestAnswer = 100_000

describe('the variables of an operation', () => {
  let app: TestApp
  let gateway: string
  let customer: string

  beforeAll(async () => {
    app = await startApp()
    gateway = await app.token({ scopes: ['calls:meter'] })
    customer = (await createCustomer(app)).token
    const calls = [{ secret: '', apiCall: '' }]
    for (let run = 0; run < runs; run++) await send({ calls })
  })
  afterAll(() => app.stop())

  async function send(variables: object, token = gateway, headers: Record<string, string> = {}) {
    const { status, text } = await post(
      app,
      { query, variables },
      { authorization: `Bearer ${token}`, ...headers },
    )
    const { data, errors = [] } = JSON.parse(text) as Awaited<ReturnType<TestApp['query']>>
    return { status, data, errors, length: text.length }
  }

  async function sendOverWebSocket(variables: object) {
    const connection = await openRawConnection(app)
    await connection.init(gateway)
    connection.send({ type: 'subscribe', id: '1', payload: { query, variables } })
    const message = await connection.next()
    connection.socket.terminate()
    const payload = message?.payload as { errors: object[] } | object[]
    return {
      errors: Array.isArray(payload) ? payload : payload.errors,
      length: JSON.stringify(payload).length,
    }
  }

  it.each([
    ['300,000 empty inputs', emptyInputs(300_000)],
    ['60,000 unknown fields', unknownFields(60_000)],
    ['more values than an operation may have', emptyInputs(operationLimits.variableValues + 1)],
  ])('are refused before they are checked: %s', async (_what, calls) => {
    const startedAt = performance.now()
    const { status, errors } = await send({ calls })
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(status).toBe(400)
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['QUERY_TOO_COMPLEX'])
  })

  it.each([
    ['empty inputs', emptyInputs(300)],
    ['thousands of empty inputs', emptyInputs(3_000)],
    ['unknown fields', unknownFields(300)],
    ['thousands of unknown fields', unknownFields(5_000)],
    ['a long text for an object', ['x'.repeat(500_000)]],
    [
      'a long text in an object with unknown fields',
      [{ secret: 'x'.repeat(500_000), ...unknownFields(200)[0] }],
    ],
  ])('get a bounded list of bounded errors, on every transport: %s', async (_what, calls) => {
    const answers = [
      await send({ calls }),
      await send({ calls }, gateway, { 'content-type': 'application/graphql+json' }),
      await sendOverWebSocket({ calls }),
    ]
    for (const { errors, length } of answers) {
      expect(errors.length).toBeGreaterThan(0)
      expect(errors.length).toBeLessThanOrEqual(errorLimits.errors + 1)
      expect(length).toBeLessThan(longestAnswer)
    }
  })

  it('are not looked at for a token without the scope', async () => {
    for (const calls of [emptyInputs(1), emptyInputs(operationLimits.variableValues + 1)]) {
      const { status, data, errors } = await send({ calls }, customer)
      expect(status).toBe(200)
      expect(data).toBeNull()
      expect(errors).toMatchObject([{ path: ['meterApiCalls'], extensions: { code: 'FORBIDDEN' } }])
    }
  })

  it('may hold a full batch of calls', async () => {
    const calls = Array.from({ length: 1_000 }, () => ({ secret: 'x'.repeat(40), apiCall: 'v3.ping' }))
    const { data, errors } = await send({ calls })
    expect(errors).toEqual([])
    expect(data).toMatchObject({ meterApiCalls: { decisions: { length: 1_000 } } })
  })
})

describe('the errors of an executed operation', () => {
  let app: TestApp
  let customer: string
  beforeAll(async () => {
    app = await startApp()
    customer = (await createCustomer(app)).token
  })
  afterAll(() => app.stop())

  it('are listed up to a limit, and the last one says how many there are beyond', async () => {
    const fields = Array.from({ length: 120 }, (_, i) => `a${i}: account(externalId: "") { id }`)
    const { errors } = await app.query(`{ ${fields.join(' ')} }`, { as: customer })
    expect(errors).toHaveLength(errorLimits.errors + 1)
    expect(errors?.at(-1)).toMatchObject({
      message: `${120 - errorLimits.errors} more errors are not listed.`,
      extensions: { code: 'BAD_USER_INPUT' },
    })
  })

  it('list a bounded number of broken rules', async () => {
    const apiCalls = Array.from({ length: 400 }, (_, i) => `unknown.${i}`)
    const { data } = await app.query<{ addApiKey: { message: string; issues: object[] } }, object>(
      `mutation ($input: AddApiKeyInput!) {
        addApiKey(input: $input) { ... on InvalidInput { message issues { path message } } }
      }`,
      { as: customer, variables: { input: { access: { mode: 'RESTRICTED', apiCalls } } } },
    )
    expect(data.addApiKey.issues).toHaveLength(errorLimits.issues + 1)
  })

  it('cannot be multiplied by a long alias', async () => {
    const alias = 'a'.repeat(operationLimits.aliasLength + 1)
    const { errors } = await app.query(`{ apiCalls { ${alias}: id } }`, { as: customer })
    expect(errors?.[0]?.extensions.code).toBe('QUERY_TOO_COMPLEX')
    const allowed = await app.query(`{ apiCalls { ${alias.slice(1)}: id } }`, { as: customer })
    expect(allowed.errors).toBeUndefined()
  })
})

describe('JSON', () => {
  const { variableValues } = operationLimits
  const inRequest = (variables: unknown) => JSON.stringify({ query: '{ a }', operationName: null, variables })
  const objects = (count: number) => Array.from({ length: count }, () => ({ a: 1, b: '"\\' }))

  it.each([
    ['as many values as an operation may have', inRequest({ x: objects(variableValues / 3 - 2) }), false],
    ['as many empty lists', inRequest({ x: Array.from({ length: variableValues - 2 }, () => []) }), false],
    ['long texts of commas and brackets', inRequest({ x: '",[{\\'.repeat(50_000) }), false],
    ['an unfinished text', `"${','.repeat(50_000)}`, false],
    ['many more objects', inRequest({ x: objects(variableValues) }), true],
    ['many more names', inRequest(unknownFields(3 * variableValues)[0]), true],
  ])('with %s is recognised before it is parsed: too many values', (_, json, isTooMany) => {
    expect(hasTooManyValues(json)).toBe(isTooMany)
  })

  it('with too many values is refused unparsed: over HTTP with 400, a WebSocket is closed with 1009', async () => {
    const app = await startApp()
    const token = await app.token({ scopes: ['calls:meter'] })
    // Parsing would find that it is not JSON.
    const text = `{"query":"{ a }","variables":[${'[],'.repeat(2 * variableValues)}`
    const refused = await post(app, text, { authorization: `Bearer ${token}` })
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('QUERY_TOO_COMPLEX')])
    const connection = await (await openRawConnection(app)).init(token)
    const closed = closeOf(connection.socket)
    connection.send(text)
    expect(await closed).toMatchObject({ code: 1009 })
    await app.stop()
  })
})
