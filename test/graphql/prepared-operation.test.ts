import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { post } from '../support/http.ts'

/** More often than it takes until an operation that only meters is compiled. */
const times = 25

const decision = `fragment Decision on ApiCallDecision {
  admitted verdict: code message apiKeyId accountExternalId apiKeyCalls __typename
  accountUsage { month calls quota remaining resetsAt }
}`

describe('an operation that meters and comes again and again', () => {
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

  /** Sends it again and again, and holds every answer to the first. */
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

  it('is decided in full each time', async () => {
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

  it('answers several fields in their order', async () => {
    const several = `mutation ($a: MeterApiCallInput!, $calls: [MeterApiCallInput!]!) {
      second: meterApiCalls(input: { calls: $calls }) { decisions { ...Decision } }
      first: meterApiCall(input: $a) { ... on ApiCallDecision { code } }
    } ${decision}`
    const { input } = one(secrets.denied)
    const { body } = await sameAnswer({ query: several, variables: { a: input, calls: [input, input] } })
    expect(Object.keys(body.data)).toEqual(['second', 'first'])
    expect(body.data.second.decisions).toHaveLength(2)
  })

  it('leaves out and takes in what its variables say', async () => {
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

  it('picks the operation that is named', async () => {
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
    ['none', {}],
    ['null', { input: null }],
    ['a text', { input: 'secret' }],
    ['a number for a text', { input: { secret: 5, apiCall: 'v3.ping' } }],
    ['half of the input', { input: { secret: '' } }],
    ['a field too many', { input: { secret: '', apiCall: '', more: 1 } }],
  ])('refuses a bad variable each time: %s', async (_what, variables) => {
    await sameAnswer({ query, variables: one('nonsense') })
    const { body } = await sameAnswer({ query, variables })
    expect(body.data).toBeUndefined()
    expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT')
  })

  it.each([
    [
      'for a text',
      'mutation ($input: String = "x") { meterApiCall(input: { secret: $input, apiCall: "" }) { code } }',
      '',
    ],
    [
      'for a list',
      'mutation ($input: [MeterApiCallInput!] = []) { meterApiCalls(input: { calls: $input }) { decisions { code } } }',
      [],
    ],
    [
      'for one of a list',
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
  ])('refuses a null where a variable has a default each time: %s', async (_what, withDefault, input) => {
    await sameAnswer({ query: withDefault, variables: { input } })
    const { body } = await sameAnswer({ query: withDefault, variables: { input: null } })
    expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT')
  })

  it('refuses too many calls each time', async () => {
    const calls = Array.from({ length: 1_001 }, () => ({ secret: '', apiCall: '' }))
    const many =
      'mutation ($calls: [MeterApiCallInput!]!) { meterApiCalls(input: { calls: $calls }) { decisions { code } } }'
    const { body } = await sameAnswer({ query: many, variables: { calls } })
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', issues: [{}] })
  })

  it('asks each who sends it for the scope', async () => {
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
