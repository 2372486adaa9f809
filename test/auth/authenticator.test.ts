import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthenticator } from '../../src/auth/authenticator.ts'
import { createSystemClock } from '../../src/clock.ts'
import { customerScopes } from '../../src/development.ts'
import { databases, noteSecrets, startApp, type TestApp } from '../support/app.ts'
import { TestClock } from '../support/clock.ts'
import { createGateway } from '../support/customer.ts'
import { contentsOf, expectRefusal, post } from '../support/http.ts'
import { closeOf, rawWebSocket } from '../support/websocket.ts'

const secret = 'a secret that only tests are signed with'
const viewer = '{ viewer { subject scopes } }'
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs any claims, valid or not, with any key. */
function sign(claims: object, key: string = secret, alg = 'HS256', typ?: string): Promise<string> {
  const header = { alg, ...(typ === undefined ? {} : { typ }) }
  return new SignJWT({ ...claims }).setProtectedHeader(header).sign(new TextEncoder().encode(key))
}

const now = () => Math.floor(Date.now() / 1_000)
const good = () => ({
  sub: 'tester',
  scope: 'keys:read',
  iss: 'the issuer',
  aud: 'latchkey',
  exp: now() + 3_600,
})

describe('a token signed with AUTH_SECRET', () => {
  let app: TestApp
  let refusal: string

  const ask = (authorization: string | undefined) =>
    post(app, { query: viewer }, authorization === undefined ? {} : { authorization })

  beforeAll(async () => {
    app = await startApp({ environment: { AUTH_ISSUER: 'the issuer', AUTH_AUDIENCE: 'latchkey' } })
    refusal = (await ask('Bearer garbage')).text
  })
  afterAll(() => app.stop())

  it.each([
    ['with valid claims', good],
    ['with an expiry beyond what a Date can hold', () => ({ ...good(), exp: 1e15 })],
    ['for several audiences', () => ({ ...good(), aud: ['other', 'latchkey'] })],
    ['whose nbf has just passed', () => ({ ...good(), nbf: now() - 1 })],
    ['with claims that ID tokens have too', () => ({ ...good(), azp: 'app', auth_time: now(), acr: '1' })],
    [
      "with a nonce, declared an access token by Keycloak's typ",
      () => ({ ...good(), nonce: 'n', typ: 'Bearer' }),
    ],
    ["with Cognito's token_use access", () => ({ ...good(), token_use: 'access' })],
  ])('is accepted: %s', async (_, claims) => {
    const { status, data } = await ask(`Bearer ${noteSecrets(await sign(claims()))}`)
    expect([status, data]).toEqual([200, { viewer: { subject: 'tester', scopes: ['keys:read'] } }])
  })

  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT'])(
    'is accepted with the type %s, whatever it claims',
    async (typ) => {
      const token = noteSecrets(await sign({ ...good(), nonce: 'n', at_hash: 'h' }, secret, 'HS256', typ))
      expect((await ask(`Bearer ${token}`)).status).toBe(200)
    },
  )

  it('is accepted with “Bearer” in any case', async () => {
    expect((await ask(`bearer ${await sign(good())}`)).status).toBe(200)
  })

  const withClaims = (claims: object) => () => sign({ ...good(), ...claims })
  const bad: [string, () => string | Promise<string>][] = [
    ['garbage', () => 'garbage'],
    ['garbage in three parts', () => 'a.b.c'],
    ['signed with another secret', () => sign(good(), 'another secret of more than 32 bytes')],
    ['with the algorithm none', () => `${base64url({ alg: 'none' })}.${base64url(good())}.`],
    ['with the algorithm HS512', () => sign(good(), secret, 'HS512')],
    ['without a signature', async () => (await sign(good())).replace(/[^.]+$/, '')],
    [
      'with a tampered payload',
      async () => (await sign(good())).replace(/\.[^.]+\./, `.${base64url({ ...good(), scope: 'admin' })}.`),
    ],
    ['for another audience', withClaims({ aud: 'another' })],
    ['without an audience', withClaims({ aud: undefined })],
    ['from another issuer', withClaims({ iss: 'another' })],
    ['without an issuer', withClaims({ iss: undefined })],
    ['that has expired', withClaims({ exp: now() - 1 })],
    ['without an expiry', withClaims({ exp: undefined })],
    ['that is an ID token with a nonce', withClaims({ nonce: 'n' })],
    ['that is an ID token with at_hash', withClaims({ at_hash: 'h' })],
    ['that is an ID token with c_hash', withClaims({ c_hash: 'h' })],
    ['that is an ID token with s_hash', withClaims({ s_hash: 'h' })],
    ['that is an ID token of Keycloak', withClaims({ typ: 'ID' })],
    ['that is an ID token of Cognito', withClaims({ token_use: 'id' })],
    ['that is a logout token', () => sign(good(), secret, 'HS256', 'logout+jwt')],
    ['of more than 8,192 characters', withClaims({ padding: 'x'.repeat(8_192) })],
    ['whose expiry is not a number', withClaims({ exp: 'tomorrow' })],
    ['that is not valid yet', withClaims({ nbf: now() + 3_600 })],
    ['without a subject', withClaims({ sub: undefined })],
    ['with an empty subject', withClaims({ sub: '' })],
    ['whose subject is not a string', withClaims({ sub: { name: 'tester' } })],
    ['whose scope is a list', withClaims({ scope: ['admin'] })],
    ['whose account is not a string', withClaims({ account: 7 })],
    ['whose account is null', withClaims({ account: null })],
    ['whose account is empty', withClaims({ account: '' })],
    ['whose account contains NUL', withClaims({ account: 'a\u0000b' })],
    ['whose account contains a lone surrogate', withClaims({ account: 'a\ud800b' })],
    ['whose account is too long', withClaims({ account: 'x'.repeat(256) })],
    [
      'whose payload is not an object',
      () => new Promise((resolve) => resolve(`${base64url({ alg: 'HS256' })}.${base64url('x')}.x`)),
    ],
  ]

  it.each(bad)('is refused without a reason: %s', async (_, token) => {
    const before = await contentsOf(app)
    const answer = await ask(`Bearer ${noteSecrets(await token())}`)
    expect([answer.status, answer.text]).toEqual([401, refusal])
    expectRefusal(answer, 'UNAUTHENTICATED')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(await contentsOf(app)).toEqual(before)
  })

  it.each(bad)('closes a WebSocket with 4403: %s', async (_, token) => {
    const socket = await rawWebSocket(app)
    socket.send(
      JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${await token()}` } }),
    )
    expect(await closeOf(socket)).toEqual({ code: 4403, reason: 'Forbidden' })
  })

  it.each(['', 'Bearer', 'Bearer ', 'Basic dXNlcjpwYXNz', 'Bearer a b'])(
    'is required in a header of the form “Bearer <token>”: %j is refused',
    async (authorization) => {
      const answer = await ask(authorization)
      expect([answer.status, answer.text]).toEqual([401, refusal])
    },
  )

  it('is asked for if the header is missing', async () => {
    const answer = await ask(undefined)
    expectRefusal(answer, 'UNAUTHENTICATED')
    expect(answer.text).toContain('Send a bearer token')
  })
})

describe('the tokens that were verified', () => {
  const authenticator = () =>
    createAuthenticator(
      { secret: new TextEncoder().encode(secret), jwksMaxStaleMs: 3_600_000, accountClaim: 'account' },
      createSystemClock(),
    )

  it('are verified again after 30 seconds, even if the clock was set back meanwhile', async () => {
    const clock = new TestClock()
    let elapsedMs = 0
    const options = {
      secret: new TextEncoder().encode(secret),
      jwksMaxStaleMs: 3_600_000,
      accountClaim: 'account',
    }
    const { authenticate } = createAuthenticator(options, clock, () => elapsedMs)
    const authorization = `Bearer ${await sign(good())}`
    const first = await authenticate(authorization)
    clock.set(new Date(clock.now().getTime() - 1_000))
    elapsedMs = 29_999
    expect(await authenticate(authorization)).toBe(first)
    elapsedMs = 30_000
    expect(await authenticate(authorization)).not.toBe(first)
  })

  it('are recognised whichever way the header is written', async () => {
    const { authenticate } = authenticator()
    const token = await sign(good())
    const first = await authenticate(`Bearer ${token}`)
    // A token that is verified again becomes another principal.
    for (let spaces = 1; spaces <= 100; spaces++)
      expect(await authenticate(`bearer${' '.repeat(spaces)}${token}`)).toBe(first)
  })

  it('take a bounded amount of memory, however long they are', async () => {
    const { authenticate } = authenticator()
    const padding = 'x'.repeat(5_000)
    const tokenOf = (sub: string) => sign({ ...good(), sub, padding })
    const oldest = `Bearer ${await tokenOf('oldest')}`
    const latest = `Bearer ${await tokenOf('latest')}`
    const first = await authenticate(oldest)
    // 16,777,216 characters in all.
    for (let i = 0; i < 16_777_216 / oldest.length; i++) await authenticate(`Bearer ${await tokenOf(`${i}`)}`)
    const last = await authenticate(latest)
    expect(await authenticate(latest)).toBe(last)
    expect(await authenticate(oldest)).not.toBe(first)
  })

  it('are not looked for where the header has more than 8,192 characters', async () => {
    const { authenticate } = authenticator()
    const token = await sign(good())
    const padded = (length: number) => `Bearer ${token.padStart(length - 'Bearer '.length)}`
    expect(await authenticate(padded(8_192))).toMatchObject({ subject: 'tester' })
    await expect(authenticate(padded(8_193))).rejects.toThrow('The token is not valid.')
  })
})

describe('a scope', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ environment: { AUTH_ACCOUNT_CLAIM: 'https://saas.example/customer' } })
  })
  afterAll(() => app.stop())

  const id = 'QXBpS2V5'
  const operations = {
    'keys:read': [
      '{ account { id } }',
      '{ viewer { account { id } } }',
      `{ apiKey(id: "${id}") { id } }`,
      `{ node(id: "${id}") { id } }`,
      `{ nodes(ids: ["${id}"]) { id } }`,
      '{ plans { id } }',
      '{ apiCalls { id } }',
    ],
    'keys:write': [
      'mutation { addApiKey(input: { accountId: "x" }) { __typename } }',
      `mutation { regenerateApiKey(input: { id: "${id}" }) { __typename } }`,
      `mutation { setApiKeyNote(input: { id: "${id}" }) { __typename } }`,
      `mutation { configureApiKeyAccess(input: { id: "${id}", access: { mode: FULL } }) { __typename } }`,
      `mutation { removeApiKey(input: { id: "${id}" }) { __typename } }`,
    ],
    'keys:reveal': [],
    'calls:meter': [
      'mutation { meterApiCall(input: { secret: "x", apiCall: "y" }) { code } }',
      'mutation { meterApiCalls(input: { calls: [] }) { decisions { code } } }',
    ],
    admin: [
      '{ accounts { totalCount } }',
      'mutation { savePlan(input: { slug: "p", name: "P", maxApiKeys: 1 }) { __typename } }',
      'mutation { saveAccount(input: { externalId: "e", name: "E", plan: "free" }) { __typename } }',
      'mutation { saveApiCall(input: { name: "c", title: "C", category: "C", kind: READ }) { __typename } }',
    ],
  } as const
  type Scope = keyof typeof operations
  const scopes = Object.keys(operations) as Scope[]

  it.each(scopes)('%s allows its own operations and no others', async (scope) => {
    const as = await app.token({ scopes: [scope], account: `account of ${scope}` })
    for (const needed of scopes) {
      for (const operation of operations[needed]) {
        const { errors } = await app.query(operation, { as })
        if (scope === needed || scope === 'admin') expect(errors, operation).toBeUndefined()
        else
          expect(
            errors?.map(({ extensions }) => extensions.code),
            operation,
          ).toEqual(['FORBIDDEN'])
      }
    }
  })

  it('is named in the refusal if the token lacks it', async () => {
    const as = await app.token({ scopes: ['calls:meter'] })
    expect((await app.query('{ plans { id } }', { as })).errors?.[0]?.message).toContain('keys:read')
  })

  it('is required for everything except to read the viewer', async () => {
    const as = await app.token({ scopes: [], account: 'nobody' })
    expect((await app.query(viewer, { as })).data).toEqual({ viewer: { subject: 'tester', scopes: [] } })
    for (const operation of Object.values(operations).flat()) {
      const code = async (token?: string) =>
        (await app.query(operation, { as: token })).errors?.[0]?.extensions.code
      expect([await code(), await code(as)]).toEqual(['UNAUTHENTICATED', 'FORBIDDEN'])
    }
    expect(await app.sql('select from account where external_id = $1', 'nobody')).toEqual([])
  })

  it('keys:reveal or admin is required to read secrets', async () => {
    const secrets = async (...held: Scope[]) => {
      const as = await app.token({ scopes: held, account: 'revealed' })
      const query = '{ account { apiKeys { nodes { start secret } } } }'
      const { data } = await app.query<
        { account: { apiKeys: { nodes: { start: string; secret: string | null }[] } } },
        never
      >(query, { as })
      return data.account.apiKeys.nodes.map(({ start, secret }) => secret?.startsWith(start) ?? null)
    }
    expect(await secrets('keys:read')).toEqual([null])
    expect(await secrets('keys:read', 'keys:write', 'calls:meter')).toEqual([null])
    expect(await secrets('keys:read', 'keys:reveal')).toEqual([true])
    expect(await secrets('admin')).toEqual([true])
  })
})

describe.each(databases)('on %s, the account named by a token', (database) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({
      database,
      environment: { AUTH_ACCOUNT_CLAIM: 'customer', DEFAULT_PLAN: 'professional' },
    })
  })
  afterAll(() => app.stop())

  const accountOf = async (as: string) => {
    const query = '{ account { externalId name plan { slug } apiKeys { totalCount } } }'
    return (await app.query<{ account: object | null }, never>(query, { as })).data.account
  }

  it('is created once when it is first seen, even by 20 concurrent requests', async () => {
    const as = await app.token({ account: 'Ünïcode & Söhne', scopes: customerScopes })
    const all = await Promise.all(Array.from({ length: 20 }, () => accountOf(as)))
    const made = {
      externalId: 'Ünïcode & Söhne',
      name: 'Ünïcode & Söhne',
      plan: { slug: 'professional' },
      apiKeys: { totalCount: 1 },
    }
    expect(all).toEqual(Array.from({ length: 20 }, () => made))
  })

  it('is read only from the claim that AUTH_ACCOUNT_CLAIM names', async () => {
    const token = await sign({ ...good(), account: 'from the usual claim' })
    expect(await accountOf(noteSecrets(token))).toBe(null)
  })

  it('is not created for a gateway', async () => {
    const before = await contentsOf(app)
    await (await createGateway(app)).meter('garbage')
    const as = await app.token({ account: 'a gateway of the customer', scopes: ['calls:meter'] })
    await app.query(viewer, { as })
    expect(await contentsOf(app)).toEqual(before)
  })
})
