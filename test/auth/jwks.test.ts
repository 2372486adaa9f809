import { exportSPKI, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { expectRefusal, post } from '../support/http.ts'
import { TokenIssuer } from '../support/jwks-server.ts'
import { closeOf, rawWebSocket } from '../support/websocket.ts'

const query = '{ viewer { subject } }'
const ask = (app: TestApp, token: string) => post(app, { query }, { authorization: `Bearer ${token}` })

describe('a token verified with AUTH_JWKS_URL', () => {
  const algorithms = ['RS256', 'ES256', 'EdDSA', 'PS256', 'ES384'] as const
  type Key = Awaited<ReturnType<TokenIssuer['addKey']>>
  const issuer = new TokenIssuer()
  const keys = {} as Record<(typeof algorithms)[number], Key>
  let app: TestApp

  beforeAll(async () => {
    for (const alg of algorithms) keys[alg] = await issuer.addKey(alg, alg)
    await issuer.start()
    app = await startApp({ environment: { AUTH_SECRET: '', AUTH_JWKS_URL: issuer.jwksUrl } })
  })
  afterAll(async () => {
    await app.stop()
    await issuer.stop()
  })

  it.each(['RS256', 'ES256', 'EdDSA'] as const)('is accepted if signed with %s', async (alg) => {
    expect((await ask(app, await keys[alg].sign({}))).data).toEqual({ viewer: { subject: 'tester' } })
  })

  it.each(['PS256', 'ES384'] as const)('is refused if signed with %s', async (alg) => {
    expect((await ask(app, await keys[alg].sign({}))).status).toBe(401)
  })

  it('is refused if signed with HS256 and a public key as the secret', async () => {
    const { publicKey, publicJwk } = keys.RS256
    const pem = await exportSPKI(publicKey)
    for (const guess of [pem, pem.trim(), JSON.stringify(publicJwk), publicJwk.n ?? '']) {
      const token = await new SignJWT({ sub: 'attacker', scope: 'admin' })
        .setProtectedHeader({ alg: 'HS256', kid: 'RS256' })
        .sign(new TextEncoder().encode(guess))
      expect((await ask(app, token)).status).toBe(401)
    }
  })

  it('cannot supply its own key', async () => {
    const attacker = await new TokenIssuer().addKey('ES256', 'ES256')
    for (const header of [{}, { jwk: attacker.publicJwk }, { jku: 'http://127.0.0.1:1/' }])
      expect((await ask(app, await attacker.sign({ scope: 'admin' }, header))).status).toBe(401)
  })
})

describe('the keys of AUTH_JWKS_URL', () => {
  let issuer: TokenIssuer
  let app: TestApp

  beforeEach(async () => {
    issuer = new TokenIssuer()
    await issuer.start()
    app = await startApp({ environment: { AUTH_SECRET: '', AUTH_JWKS_URL: issuer.jwksUrl } })
  })
  afterEach(async () => {
    await app.stop()
    await issuer.stop()
  })

  it('are fetched once for any number of tokens with a known key', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    const tokens = await Promise.all(Array.from({ length: 20 }, () => sign({})))
    const statuses = await Promise.all(tokens.map(async (token) => (await ask(app, token)).status))
    expect([new Set(statuses), issuer.fetches]).toEqual([new Set([200]), 1])
  })

  it('are fetched again when a token is signed with a new key', async () => {
    const old = await issuer.addKey('ES256', 'old')
    expect((await ask(app, await old.sign({}))).status).toBe(200)
    const next = await issuer.addKey('ES256', 'next')
    issuer.removeKey('old')
    const token = await next.sign({})
    await vi.waitFor(async () => expect((await ask(app, token)).status).toBe(200))
    expect((await ask(app, await old.sign({}))).status).toBe(401)
  })

  it('are not fetched for every token with an unknown key', async () => {
    const stranger = await new TokenIssuer().addKey('ES256', 'stranger')
    await issuer.addKey('ES256', 'one')
    const token = await stranger.sign({})
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await ask(app, token)).status))
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(issuer.fetches).toBeLessThan(50)
  })

  it('cause 503, not 401, until they can be fetched', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    const token = await sign({})
    await issuer.stop()
    const answer = await ask(app, token)
    expect(answer.status).toBe(503)
    expectRefusal(answer, 'UNAVAILABLE')
    const socket = await rawWebSocket(app)
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }))
    expect(await closeOf(socket)).toEqual({ code: 1013, reason: 'Try again later' })
    await issuer.start()
    expect((await ask(app, token)).status).toBe(200)
  })

  it('stay in use while the issuer is unreachable', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    expect((await ask(app, await sign({}))).status).toBe(200)
    await issuer.stop()
    expect((await ask(app, await sign({}))).status).toBe(200)
  })
})

describe('a server with both AUTH_JWKS_URL and AUTH_SECRET', () => {
  it('accepts tokens of either kind', async () => {
    const issuer = new TokenIssuer()
    const { sign } = await issuer.addKey('EdDSA', 'one')
    await issuer.start()
    const app = await startApp({ environment: { AUTH_JWKS_URL: issuer.jwksUrl } })
    for (const token of [await sign({}), await app.token({})])
      expect((await ask(app, token)).status).toBe(200)
    await app.stop()
    await issuer.stop()
  })
})
