import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { post } from '../support/http.ts'

/** More runs than it takes for an operation that only meters to be compiled. */
const times = 25

const decision = `fragment Decision on ApiCallDecision {
  admitted verdict: code message apiKeyId accountExternalId apiKeyCalls __typename
  accountUsage { month calls quota remaining resetsAt }
}`

describe('a metering operation that is sent repeatedly', () => {
  let app: TestApp
  let gateway: string
  let secrets: Record<'quotaExceeded' | 'denied', string>

  beforeAll(async () => {
    app = await startApp()
    gateway = await app.token({ scopes: ['calls:meter'] })
    const customer = await createCustomer(app, { monthlyCallQuota: 0 })
    const denied = await customer.addApiKey({ access: { mode: 'RESTRICTED', apiCalls: [] } })
    secrets = { quotaExceeded: (await customer.addApiKey()).secret, denied: denied.secret }
  })
  afterAll(() => app.stop())

  /** Sends the operation `times` times, expects every response to equal the first, and returns that one. */
  async function sameAnswer(body: object, token: string | undefined = gateway) {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {}
    const send = async () => {
      const { status, text } = await post(app, body, headers)
      return { status, body: JSON.parse(text) }
    }
    const first = await send()
    for (let time = 1; time < times; time++) expect(await send()).toEqual(first)
    return first
  }

  const one = (secret: string, apiCall = 'v3.ping') => ({ input: { secret, apiCall } })
  const query = `mutation ($input: MeterApiCallInput!) { meterApiCall(input: $input) { ...Decision } } ${decision}`

  it('gets the right decision each time', async () => {
    const codeOf = async (variables: object) =>
      (await sameAnswer({ query, variables })).body.data.meterApiCall.verdict
    expect(await codeOf(one('nonsense'))).toBe('KEY_INVALID')
    expect(await codeOf(one(secrets.quotaExceeded))).toBe('QUOTA_EXCEEDED')
    expect(await codeOf(one(secrets.quotaExceeded, 'nonsense'))).toBe('API_CALL_UNKNOWN')
    expect(await codeOf(one(secrets.denied))).toBe('ACCESS_DENIED')
  })

  it('is counted each time', async () => {
    const customer = await createCustomer(app)
    const { secret } = await customer.addApiKey()
    for (let time = 1; time <= times; time++) {
      const { data } = await app.query<{ meterApiCall: { apiKeyCalls: number } }, object>(
        'mutation ($input: MeterApiCallInput!) { meterApiCall(input: $input) { apiKeyCalls } }',
        { as: gateway, variables: one(secret) },
      )
      expect(data.meterApiCall.apiKeyCalls).toBe(time)
    }
  })

  it('returns its fields in the order of the document', async () => {
    const several = `mutation ($a: MeterApiCallInput!, $calls: [MeterApiCallInput!]!) {
      second: meterApiCalls(input: { calls: $calls }) { decisions { ...Decision } }
      first: meterApiCall(input: $a) { ... on ApiCallDecision { code } }
    } ${decision}`
    const { input } = one(secrets.denied)
    const { body } = await sameAnswer({ query: several, variables: { a: input, calls: [input, input] } })
    expect(Object.keys(body.data)).toEqual(['second', 'first'])
    expect(body.data.second.decisions).toHaveLength(2)
  })

  it('obeys @include and @skip with variables', async () => {
    const choosing = `mutation ($input: MeterApiCallInput!, $more: Boolean = false, $code: Boolean!) {
      meterApiCall(input: $input) { message code @include(if: $code) ... @skip(if: $more) { admitted } }
    }`
    for (const code of [true, false])
      for (const more of [true, false, undefined]) {
        const variables = { ...one(secrets.denied), code, more }
        const { body } = await sameAnswer({ query: choosing, variables })
        expect(Object.keys(body.data.meterApiCall).sort()).toEqual(
          ['message', ...(code ? ['code'] : []), ...(more ? [] : ['admitted'])].sort(),
        )
      }
  })

  it('runs the operation that operationName names', async () => {
    const several = `mutation A { meterApiCall(input: { secret: "", apiCall: "" }) { code } }
      mutation B { meterApiCall(input: { secret: "", apiCall: "" }) { message } }`
    const keysOf = async (operationName?: string) =>
      Object.keys((await sameAnswer({ query: several, operationName })).body.data?.meterApiCall ?? {})
    expect(await keysOf('A')).toEqual(['code'])
    expect(await keysOf('B')).toEqual(['message'])
    expect(await keysOf('C')).toEqual([])
    expect(await keysOf()).toEqual([])
  })

  it.each([
    ['missing', {}],
    ['null', { input: null }],
    ['a string', { input: 'secret' }],
    ['a number for a string', { input: { secret: 5, apiCall: 'v3.ping' } }],
    ['a missing input field', { input: { secret: '' } }],
    ['an unknown input field', { input: { secret: '', apiCall: '', more: 1 } }],
  ])('is refused each time for a bad variable: %s', async (_what, variables) => {
    await sameAnswer({ query, variables: one('nonsense') })
    const { body } = await sameAnswer({ query, variables })
    expect(body.data).toBeUndefined()
    expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT')
  })

  it.each([
    [
      'for a string',
      'mutation ($input: String = "x") { meterApiCall(input: { secret: $input, apiCall: "" }) { code } }',
      '',
    ],
    [
      'for a list',
      'mutation ($input: [MeterApiCallInput!] = []) { meterApiCalls(input: { calls: $input }) { decisions { code } } }',
      [],
    ],
    [
      'for a list item',
      `mutation ($input: MeterApiCallInput = { secret: "", apiCall: "" }) {
        meterApiCalls(input: { calls: [{ secret: "", apiCall: "" }, $input] }) { decisions { code } }
      }`,
      { secret: '', apiCall: '' },
    ],
    [
      'for a condition',
      'mutation ($input: Boolean = true) { meterApiCall(input: { secret: "", apiCall: "" }) @include(if: $input) { code } }',
      true,
    ],
  ])('is refused each time for null in a variable with a default: %s', async (_what, withDefault, input) => {
    await sameAnswer({ query: withDefault, variables: { input } })
    const { body } = await sameAnswer({ query: withDefault, variables: { input: null } })
    expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT')
  })

  it('is refused each time for too many calls', async () => {
    const calls = Array.from({ length: 1_001 }, () => ({ secret: '', apiCall: '' }))
    const many =
      'mutation ($calls: [MeterApiCallInput!]!) { meterApiCalls(input: { calls: $calls }) { decisions { code } } }'
    const { body } = await sameAnswer({ query: many, variables: { calls } })
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', issues: [{}] })
  })

  it('requires the scope of every sender', async () => {
    const variables = one(secrets.denied)
    const codeOf = async (token: string | undefined) =>
      (await post(app, { query, variables }, token ? { authorization: `Bearer ${token}` } : {})).errors?.[0]
        ?.extensions.code
    await sameAnswer({ query, variables })
    const customer = await app.token({ scopes: ['keys:read', 'keys:write'] })
    for (let time = 0; time < times; time++) {
      expect(await codeOf(customer)).toBe('FORBIDDEN')
      expect(await codeOf(undefined)).toBe('UNAUTHENTICATED')
      expect(await codeOf(gateway)).toBeUndefined()
    }
  })
})
