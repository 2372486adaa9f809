import { exportSPKI, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { expectRefusal, post } from '../support/http.ts'
import { TokenIssuer } from '../support/jwks-server.ts'
import { closeOf, rawWebSocket } from '../support/websocket.ts'

const query = '{ viewer { subject } }'
/** Lets time pass for the server. */
const pass = (app: TestApp, ms: number) => app.clock.set(new Date(app.clock.now().getTime() + ms))
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
    expect((await ask(app, token)).status).toBe(401)
    pass(app, 30_000)
    expect((await ask(app, token)).status).toBe(200)
    expect((await ask(app, await old.sign({}))).status).toBe(401)
  })

  it('are fetched once in 30 seconds for tokens with unknown keys, however many', async () => {
    const stranger = await new TokenIssuer().addKey('ES256', 'stranger')
    await issuer.addKey('ES256', 'one')
    for (let fetches = 1; fetches <= 3; fetches++) {
      for (let second = 0; second < 30; second += 3) {
        const kids = Array.from({ length: 5 }, (_, i) => `unknown ${second} ${i}`)
        const tokens = await Promise.all(kids.map((kid) => stranger.sign({}, { kid })))
        const statuses = await Promise.all(tokens.map(async (token) => (await ask(app, token)).status))
        expect([new Set(statuses), issuer.fetches]).toEqual([new Set([401]), fetches])
        pass(app, 3_000)
      }
    }
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
    pass(app, 1_000)
    expect((await ask(app, token)).status).toBe(200)
  })

  it('are requested once a second while the issuer fails, however many tokens need them', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    issuer.fails = true
    for (let fetches = 1; fetches <= 3; fetches++) {
      for (let i = 0; i < 5; i++) expect((await ask(app, await sign({}))).status).toBe(503)
      expect(issuer.fetches).toBe(fetches)
      pass(app, 1_000)
    }
  })

  it.each(['does not answer', 'answers with errors'])(
    'stay in use for AUTH_JWKS_MAX_STALE_MS while the issuer %s, and unknown keys cause 503',
    async (failure) => {
      const { sign } = await issuer.addKey('ES256', 'one')
      const next = await issuer.addKey('ES256', 'next')
      issuer.removeKey('next')
      expect((await ask(app, await sign({}))).status).toBe(200)
      if (failure === 'does not answer') await issuer.stop()
      else issuer.fails = true
      for (const minutes of [1, 10, 40, 8]) {
        pass(app, minutes * 60_000)
        expect((await ask(app, await sign({ jti: `${minutes}` }))).status).toBe(200)
        expect((await ask(app, await next.sign({}))).status).toBe(503)
      }
      pass(app, 120_000)
      expect((await ask(app, await sign({ jti: 'late' }))).status).toBe(503)
      issuer.fails = false
      if (failure === 'does not answer') await issuer.start()
      pass(app, 1_000)
      expect((await ask(app, await sign({ jti: 'late' }))).status).toBe(200)
    },
  )

  it('are trusted for at most ten minutes after the issuer withdrew them', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    expect((await ask(app, await sign({}))).status).toBe(200)
    issuer.removeKey('one')
    pass(app, 600_001)
    expect((await ask(app, await sign({ jti: 'another' }))).status).toBe(401)
  })

  it('are fetched again after five minutes without making a token wait', async () => {
    const { sign } = await issuer.addKey('ES256', 'one')
    expect((await ask(app, await sign({}))).status).toBe(200)
    pass(app, 300_001)
    const answer = issuer.holdAnswers()
    expect((await ask(app, await sign({ jti: 'another' }))).status).toBe(200)
    await vi.waitFor(() => expect(issuer.fetches).toBe(2))
    answer()
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
