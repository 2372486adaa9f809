import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { startApp, type TestApp } from '../support/app.ts'
import { post } from '../support/http.ts'

const listed = 'https://app.example.com'
const host = 'https://host.example.com'
const others = [
  'https://app.example.com.evil.example',
  'https://evil.example',
  'http://app.example.com',
  'null',
]
const viewer = '{ viewer { subject } }'

const preflight = (app: TestApp, origin: string) =>
  fetch(`${app.url}/graphql`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  })

/** Whether the server accepts a WebSocket from this origin. Clients other than browsers send none. */
async function opens(app: TestApp, origin?: string): Promise<boolean> {
  const url = `${app.url.replace('http', 'ws')}/graphql`
  const socket = new WebSocket(url, 'graphql-transport-ws', origin === undefined ? {} : { origin })
  const answer = await Promise.race([
    once(socket, 'open').then(() => true),
    once(socket, 'unexpected-response').then(([, response]) => response.statusCode),
  ])
  socket.on('error', () => {})
  socket.terminate()
  if (answer !== true) expect(answer).toBe(403)
  return answer === true
}

describe('CORS', () => {
  let anywhere: TestApp
  let restricted: TestApp
  let authorization: string

  beforeAll(async () => {
    anywhere = await startApp()
    const environment = { CORS_ORIGINS: `${listed}, http://localhost:8080`, CLIENT_AREA_ORIGIN: host }
    restricted = await startApp({ environment })
    authorization = `Bearer ${await restricted.token({ scopes: ['keys:read'] })}`
  })
  afterAll(async () => {
    await anywhere.stop()
    await restricted.stop()
  })

  /** One response of every kind: data, a refusal by each layer, an event stream, and paths other than GraphQL's. */
  const answers = async (app: TestApp, origin: string) => {
    const get = (path: string, accept = '*/*') =>
      fetch(`${app.url}${path}`, { headers: { origin, authorization, accept } })
    const subscription = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { origin, authorization, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'subscription { liveUsage { snapshot } }' }),
    })
    await subscription.body?.cancel()
    return Object.entries({
      data: await post(app, { query: viewer }, { origin, authorization }),
      'data by GET': await get(`/graphql?query=${encodeURIComponent(viewer)}`),
      'a syntax error': await post(app, { query: '{' }, { origin, authorization }),
      'an invalid token': await post(app, { query: viewer }, { origin, authorization: 'Bearer x' }),
      'an oversized body': await post(app, 'x'.repeat(1_048_577), { origin, authorization }),
      events: subscription,
      '/health': await get('/health'),
      '/nothing': await get('/nothing'),
      preflight: await preflight(app, origin),
    })
  }

  it('allows every origin by default', async () => {
    for (const [kind, { headers }] of await answers(anywhere, 'https://anywhere.example'))
      expect([kind, headers.get('access-control-allow-origin')]).toEqual([kind, '*'])
  })

  it('allows the listed origins and the one that embeds the client area', async () => {
    for (const origin of [listed, 'http://localhost:8080', host])
      for (const [kind, { headers }] of await answers(restricted, origin)) {
        expect([kind, headers.get('access-control-allow-origin')]).toEqual([kind, origin])
        expect(headers.get('vary')).toContain('Origin')
        expect(headers.has('access-control-allow-credentials')).toBe(false)
      }
  })

  it.each(others)('lets %s read no response if other origins are listed', async (origin) => {
    for (const [kind, { headers }] of await answers(restricted, origin))
      expect([kind, headers.get('access-control-allow-origin')]).toEqual([kind, null])
  })

  it('answers a preflight with the allowed methods and headers', async () => {
    const { status, headers } = await preflight(restricted, listed)
    expect(status).toBe(204)
    expect(headers.get('access-control-allow-methods')).toBe('GET, POST')
    expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type')
  })

  it('keeps browsers from rendering a response as a page', async () => {
    for (const [kind, { headers }] of await answers(anywhere, 'https://anywhere.example')) {
      expect([kind, headers.get('content-security-policy')]).toEqual([
        kind,
        "default-src 'none'; frame-ancestors 'none'",
      ])
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    }
  })

  it('adds none of these headers to a POST without an Origin, which no browser sends', async () => {
    const { headers } = await post(restricted, { query: viewer }, { authorization })
    expect([...headers.keys()].filter((name) => !/^(connection|date|keep-alive)$/.test(name))).toEqual(
      expect.arrayContaining(['content-length', 'content-type']),
    )
    for (const name of ['content-security-policy', 'access-control-allow-origin', 'vary'])
      expect(headers.has(name)).toBe(false)
  })

  it('applies to WebSockets, too', async () => {
    for (const origin of [undefined, listed, host, restricted.url])
      expect([origin, await opens(restricted, origin)]).toEqual([origin, true])
    for (const origin of [...others, 'nonsense', restricted.url.replace('127.0.0.1', 'localhost')])
      expect([origin, await opens(restricted, origin)]).toEqual([origin, false])
    for (const origin of [undefined, 'https://anywhere.example'])
      expect([origin, await opens(anywhere, origin)]).toEqual([origin, true])
  })
})
