import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'

const page = '<!doctype html><title>API Keys</title>'
const script = `console.log(${JSON.stringify('a script that is worth compressing '.repeat(100))})`
const files: Record<string, string> = {
  'index.html': page,
  'latchkey-keys.js': 'customElements.define("latchkey-keys", class extends HTMLElement {})',
  'assets/index-1a2b.js': script,
  'assets/index-1a2b.css': ':root { color: red }',
  'secrets.json': '{}',
}
const hostOrigin = 'https://app.example.com'

let directory: string
let app: TestApp
let embedded: TestApp
let tokens = 0

beforeAll(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'latchkey-page-')), 'client-area')
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), text)
  }
  await writeFile(join(directory, '../outside.js'), 'outside')
  const demoToken = async () => `token ${++tokens}`
  const environment = { NODE_ENV: 'production', CLIENT_AREA: 'on', CLIENT_AREA_ORIGIN: hostOrigin }
  app = await startApp({ clientAreaDirectory: directory, demoToken })
  embedded = await startApp({ clientAreaDirectory: directory, environment })
})
afterAll(async () => {
  await app.stop()
  await embedded.stop()
  await rm(join(directory, '..'), { recursive: true })
})

const get = (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
  fetch(`${app.url}${path}`, { headers, ...init })

/** A GET without fetch, which would set `host`, normalize the path and decode the body. */
function rawGet(path: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Buffer }>(
    (resolve, reject) => {
      const { hostname, port } = new URL(app.url)
      request({ hostname, port, path, headers }, async (response) => {
        resolve({ status: response.statusCode, headers: response.headers, body: await buffer(response) })
      })
        .on('error', reject)
        .end()
    },
  )
}

describe('the client area', () => {
  it('is served at /, and its assets below /client-area/', async () => {
    for (const [path, file, type] of [
      ['/', 'index.html', 'text/html; charset=utf-8'],
      ['/?theme=dark', 'index.html', 'text/html; charset=utf-8'],
      ['/client-area/assets/index-1a2b.js', 'assets/index-1a2b.js', 'text/javascript; charset=utf-8'],
      ['/client-area/assets/index-1a2b.css', 'assets/index-1a2b.css', 'text/css; charset=utf-8'],
      ['/client-area/latchkey-keys.js', 'latchkey-keys.js', 'text/javascript; charset=utf-8'],
    ] as const) {
      const response = await get(path)
      expect([path, response.status, await response.text()]).toEqual([path, 200, files[file]])
      expect(response.headers.get('content-type')).toBe(type)
      const head = await get(path, {}, { method: 'HEAD' })
      expect([head.status, await head.text()]).toEqual([200, ''])
      expect(head.headers.get('content-type')).toBe(type)
    }
  })

  it('accepts only GET and HEAD', async () => {
    for (const path of ['/', '/client-area/latchkey-keys.js', '/client-area/session'])
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const response = await get(path, {}, { method })
        expect([path, method, response.status]).toEqual([path, method, 405])
        expect(response.headers.get('allow')).toBe('GET, HEAD')
      }
  })

  it.each([
    '/client-area',
    '/client-area/',
    '/client-area/index.html',
    '/client-area/secrets.json',
    '/client-area/assets',
    '/client-area/assets/',
    '/client-area/assets/other.js',
    '/client-area/assets/../secrets.json',
    '/client-area/assets/../../outside.js',
    '/client-area/assets/%2e%2e/%2e%2e/outside.js',
    '/client-area/assets/..%2f..%2foutside.js',
    '/client-area/assets/..\\..\\outside.js',
    '/client-area/assets//etc/passwd',
    '/client-area/assets/%00',
    '/client-area/assets/%',
    '/index.html',
    '/latchkey-keys.js',
    '/__proto__',
  ])('serves nothing else: %s', async (path) => {
    expect((await rawGet(path)).status).toBe(404)
  })

  it('lets browsers cache its assets forever, and makes them revalidate the page and the element', async () => {
    const lifetimeOf = async (path: string) => (await get(path)).headers.get('cache-control')
    expect(await lifetimeOf('/client-area/assets/index-1a2b.js')).toBe('public, max-age=31536000, immutable')
    expect(await lifetimeOf('/client-area/latchkey-keys.js')).toBe('no-cache')
    expect(await lifetimeOf('/')).toBe('no-cache')
    expect(await lifetimeOf('/client-area/session')).toBe('no-store')
    for (const path of ['/', '/client-area/latchkey-keys.js']) {
      const etag = (await get(path)).headers.get('etag') ?? ''
      const again = await get(path, { 'if-none-match': `"other", ${etag}` })
      expect([again.status, await again.text()]).toEqual([304, ''])
      expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200)
    }
  })

  it('is compressed if the client accepts that', async () => {
    const path = '/client-area/assets/index-1a2b.js'
    const encoded = async (accepted: string) => {
      const { body, headers } = await rawGet(path, { 'accept-encoding': accepted })
      return { body, encoding: headers['content-encoding'] }
    }
    const brotli = await encoded('gzip, deflate, br')
    expect([brotli.encoding, String(brotliDecompressSync(brotli.body))]).toEqual(['br', script])
    const gzip = await encoded('gzip, br;q=0')
    expect([gzip.encoding, String(gunzipSync(gzip.body))]).toEqual(['gzip', script])
    const plain = await encoded('')
    expect([plain.encoding, String(plain.body)]).toEqual([undefined, script])
    expect(gzip.body.length).toBeLessThan(script.length / 5)
    expect((await get(path)).headers.get('vary')).toBe('Accept-Encoding')
  })

  it('runs only its own scripts, and can be framed only by its host', async () => {
    const policyOf = async ({ url }: TestApp) => {
      const { headers } = await fetch(url)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      return headers.get('content-security-policy')?.split('; ') ?? []
    }
    const { host } = new URL(app.url)
    const policy = await policyOf(app)
    expect(policy.toSorted()).toEqual([
      "base-uri 'none'",
      `connect-src 'self' ws://${host} wss://${host}`,
      "default-src 'none'",
      "font-src 'self'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src 'self' data:",
      "script-src 'self'",
      "style-src 'self'",
    ])
    expect(await policyOf(embedded)).toContain(`frame-ancestors ${hostOrigin}`)
  })

  it('keeps an invalid Host header out of its policy', async () => {
    const { headers } = await rawGet('/', { host: "x;script-src'self'" })
    expect(headers['content-security-policy']).toContain("connect-src 'self';")
  })

  it('lets pages of other sites load the element, and nothing else', async () => {
    const origin = 'https://client-area.example'
    const element = await get('/client-area/latchkey-keys.js', { origin })
    expect(element.headers.get('access-control-allow-origin')).toBe('*')
    expect(element.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    for (const path of ['/', '/client-area/assets/index-1a2b.js', '/client-area/session']) {
      const { headers } = await get(path, { origin })
      expect(headers.get('access-control-allow-origin')).toBe(null)
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
    }
  })

  it('stays that of one build while the next one is written', async () => {
    await writeFile(join(directory, 'index.html'), 'the next')
    await rm(join(directory, 'assets/index-1a2b.css'))
    expect(await (await get('/')).text()).toBe(page)
    expect((await get('/client-area/assets/index-1a2b.css')).status).toBe(200)
  })
})

describe('a server without the client area', () => {
  it('answers 404 if it is off', async () => {
    const off = await startApp({ environment: { CLIENT_AREA: 'off' }, clientAreaDirectory: directory })
    try {
      for (const path of ['/', '/client-area/session', '/client-area/latchkey-keys.js']) {
        const response = await fetch(`${off.url}${path}`)
        expect([path, response.status, await response.json()]).toEqual([
          path,
          404,
          { message: 'There is nothing here. GraphQL is at /graphql.' },
        ])
      }
    } finally {
      await off.stop()
    }
  })

  it('says how to build it if it was not built, and serves everything else', async () => {
    const unbuilt = await startApp({ clientAreaDirectory: join(directory, 'nowhere') })
    try {
      const response = await fetch(unbuilt.url)
      expect(response.status).toBe(404)
      expect((await response.json()).message).toContain('npm run build')
      expect((await fetch(`${unbuilt.url}/health`)).status).toBe(200)
    } finally {
      await unbuilt.stop()
    }
  })
})

describe('the session of the page', () => {
  const session = async (headers: Record<string, string> = {}) => {
    const { status, body } = await rawGet('/client-area/session', headers)
    return { status, ...JSON.parse(String(body)) }
  }

  it('contains a fresh token of the demo account each time, in development', async () => {
    for (const headers of [{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) {
      const next = `token ${tokens + 1}`
      expect(await session(headers)).toEqual({ status: 200, mode: 'development', token: next })
    }
    for (const host of ['localhost:4000', '[::1]:4000', '192.168.0.7'])
      expect((await session({ host })).status).toBe(200)
  })

  it.each([
    { origin: 'https://example.org' },
    { origin: 'null' },
    { host: 'example.org:4000' },
    { host: 'localhost.example.org' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('is refused to scripts of other sites: %o', async (headers) => {
    const before = tokens
    const answer = await session(headers as Record<string, string>)
    expect(answer).toEqual({ status: 403, message: expect.stringContaining('localhost') })
    expect(tokens).toBe(before)
  })

  it('is refused with a reason if there is no demo account', async () => {
    const elsewhere = await startApp({ clientAreaDirectory: directory })
    try {
      const response = await fetch(`${elsewhere.url}/client-area/session`)
      expect(response.status).toBe(403)
      expect((await response.json()).message).toContain('CLIENT_AREA_ORIGIN')
    } finally {
      await elsewhere.stop()
    }
  })

  it('is refused with 500, without the cause, if a token cannot be created', async () => {
    const demoToken = () => Promise.reject(new Error('There is no ink.'))
    const broken = await startApp({ clientAreaDirectory: directory, demoToken })
    try {
      const response = await fetch(`${broken.url}/client-area/session`)
      expect(response.status).toBe(500)
      expect(await response.text()).not.toContain('ink')
      expect((await fetch(`${broken.url}/health`)).status).toBe(200)
    } finally {
      await broken.stop()
    }
  })

  it('names the host that supplies tokens, in production, and contains none', async () => {
    const response = await fetch(`${embedded.url}/client-area/session`)
    expect(await response.json()).toEqual({ mode: 'embedded', origin: hostOrigin })
  })
})
