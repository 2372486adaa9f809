import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { answerOf, contentsOf, expectRefusal, post } from '../support/http.ts'
import { rawRequest } from '../support/raw-request.ts'

const addApiKey = 'mutation { addApiKey(input: {}) { __typename } }'
const largestBody = 1_048_576

describe('the HTTP server', () => {
  let app: TestApp
  let authorization: string

  beforeAll(async () => {
    app = await startApp({ environment: { CLIENT_AREA: 'off' } })
    const customer = await createCustomer(app, {})
    authorization = `Bearer ${customer.token}`
  })
  afterAll(() => app.stop())

  const request = (path: string, init?: RequestInit) => fetch(`${app.url}${path}`, init)

  describe('leaves the data unchanged and', () => {
    let before: Awaited<ReturnType<typeof contentsOf>>
    beforeEach(async () => {
      before = await contentsOf(app)
    })
    afterEach(async () => {
      expect(await contentsOf(app)).toEqual(before)
    })

    const bodyOf = (length: number) => {
      const [start, end] = [`{"query":"${addApiKey}","operationName":null,"padding":"`, '"}']
      return start + 'x'.repeat(length - start.length - end.length) + end
    }

    it.each([
      ['one byte more than 1 MiB', largestBody + 1],
      ['40 MiB', largestBody * 40],
    ])('refuses a body of %s with Content-Length', async (_, length) => {
      const { status, body } = await rawRequest(app, {
        headers: { authorization, 'content-length': String(length) },
        chunks: [bodyOf(length)],
      })
      expect(status).toBe(413)
      expectRefusal(JSON.parse(body), 'BAD_USER_INPUT')
    })

    it('refuses a chunked body of more than 1 MiB', async () => {
      const { status, body } = await rawRequest(app, {
        headers: { authorization },
        chunks: Array.from({ length: 20 }, () => 'x'.repeat(65_536)),
      })
      expect(status).toBe(413)
      expectRefusal(JSON.parse(body), 'BAD_USER_INPUT')
    })

    it('ignores an expectation that it does not know', async () => {
      const content = '{"query":"{ __typename }"}'
      const headers = { authorization, expect: 'x', 'content-length': String(content.length) }
      const { status, body } = await rawRequest(app, { headers, chunks: [content] })
      expect([status, JSON.parse(body)]).toEqual([200, { data: { __typename: 'Query' } }])
    })

    it('refuses a body that is not UTF-8', async () => {
      const body = Buffer.concat([
        Buffer.from(`{"query":"${addApiKey}","x":"`),
        Buffer.from([0xff, 0x22, 0x7d]),
      ])
      const answer = await post(app, body, { authorization })
      expect(answer.status).toBe(400)
      expectRefusal(answer, 'BAD_USER_INPUT')
    })

    it.each([
      ['a body that is not JSON', '{"query":'],
      ['an empty body', ''],
      ['JSON that is not an object', '"query"'],
      ['null', 'null'],
      ['a body without a query', '{"variables":{}}'],
      ['a query that is not a string', '{"query":{}}'],
      ['an empty query', '{"query":""}'],
      ['variables that are not an object', JSON.stringify({ query: addApiKey, variables: 'x' })],
      ['extensions that are not an object', JSON.stringify({ query: addApiKey, extensions: 'x' })],
      ['an operationName that is not a string', JSON.stringify({ query: addApiKey, operationName: 1 })],
      ['a syntax error', JSON.stringify({ query: 'mutation {' })],
      ['an unknown operationName', JSON.stringify({ query: addApiKey, operationName: 'Other' })],
      [
        'a document without an operation',
        JSON.stringify({ query: 'fragment Of on Query { viewer { subject } }' }),
      ],
      ['a batch of operations', JSON.stringify([{ query: addApiKey }, { query: addApiKey }])],
      ['an empty batch', '[]'],
    ])('refuses %s', async (_, body) => {
      for (const accept of ['application/json', 'application/graphql-response+json']) {
        const answer = await post(app, body, { authorization, accept })
        expectRefusal(answer, 'BAD_USER_INPUT')
        if (accept === 'application/graphql-response+json') expect(answer.status).toBe(400)
      }
    })

    it.each(['variables', 'extensions'])(
      'refuses a query string or form whose %s are not JSON',
      async (name) => {
        const form = new URLSearchParams({ query: '{ viewer { subject } }', [name]: '{' })
        const headers = { authorization }
        const answers = [
          await answerOf(await request(`/graphql?${form}`, { headers })),
          await answerOf(await request('/graphql', { method: 'POST', headers, body: form })),
        ]
        for (const answer of answers) {
          expect(answer.status).toBe(400)
          expectRefusal(answer, 'BAD_USER_INPUT')
        }
      },
    )

    it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x'])(
      'refuses a body of type %s',
      async (type) => {
        const answer = await post(app, JSON.stringify({ query: addApiKey }), {
          authorization,
          'content-type': type,
        })
        expect(answer.status).toBe(415)
        expectRefusal(answer, 'BAD_USER_INPUT')
      },
    )

    it('refuses a request that accepts no type the server can send', async () => {
      const answer = await post(
        app,
        { query: '{ viewer { subject } }' },
        { authorization, accept: 'image/png' },
      )
      expect(answer.status).toBe(406)
      expectRefusal(answer, 'BAD_USER_INPUT')
    })

    it('refuses a mutation by GET', async () => {
      const response = await request(`/graphql?query=${encodeURIComponent(addApiKey)}`, {
        headers: { authorization },
      })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('POST')
      expectRefusal(await answerOf(response), 'BAD_USER_INPUT')
    })

    it.each(['PUT', 'PATCH', 'DELETE'])('refuses the method %s', async (method) => {
      const init = { method, headers: { authorization, 'content-type': 'application/json' } }
      const response = await request('/graphql', { ...init, body: JSON.stringify({ query: addApiKey }) })
      expect(response.status).toBe(405)
      expectRefusal(await answerOf(response), 'BAD_USER_INPUT')
    })

    it.each(['//', 'http://[', '*', '/graphql/../..//'])('refuses the request target %s', async (path) => {
      const { status } = await rawRequest(app, { path, method: 'GET' })
      expect([400, 404]).toContain(status)
    })

    it.each(['a b', '[', 'x:99999', 'a/b', 'a@b', 'a?b', 'a#b', '%00'])(
      'refuses the Host header %s',
      async (host) => {
        for (const method of ['GET', 'POST']) {
          const answer = await rawRequest(app, {
            path: '/graphql?query={__typename}',
            method,
            headers: { host },
          })
          expect(answer.status).toBe(400)
          expectRefusal(JSON.parse(answer.body), 'BAD_USER_INPUT')
        }
      },
    )

    it('refuses two Host headers, the same or not', async () => {
      for (const second of ['localhost', 'elsewhere.example']) {
        const { status, body } = await rawRequest(app, { headers: { HOST: second }, chunks: ['{}'] })
        expect(status).toBe(400)
        expectRefusal(JSON.parse(body), 'BAD_USER_INPUT')
      }
    })

    it('accepts a request target in absolute form', async () => {
      const path = 'http://example.com:8080/graphql?query={__typename}'
      const { status, body } = await rawRequest(app, { path, method: 'GET', headers: { host: 'x:80' } })
      expect([status, JSON.parse(body)]).toEqual([200, { data: { __typename: 'Query' } }])
    })

    it('survives clients that disconnect mid-request', async () => {
      for (const part of ['POST', 'POST /graphql HTTP/1.1\r\nHost: x\r\n']) await hangUpAfter(part)
      const head = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\n`
      await hangUpAfter(`${head}Content-Length: 1000\r\n\r\n{"query":"${addApiKey}"`)
      await hangUpAfter(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"que\r\n`)
      await hangUpAfter(
        'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      expect((await request('/health')).status).toBe(200)
    })

    async function hangUpAfter(part: string): Promise<void> {
      const { hostname, port } = new URL(app.url)
      const socket = connect(Number(port), hostname)
      await once(socket, 'connect')
      socket.on('error', () => {})
      await new Promise((resolve) => socket.write(part, resolve))
      socket.resetAndDestroy()
      await once(socket, 'close')
    }
  })

  it('accepts a body of exactly 1 MiB', async () => {
    const query = '{ viewer { subject } }'
    const filled = JSON.stringify({ query, variables: { filler: '' } })
    const body = JSON.stringify({ query, variables: { filler: 'x'.repeat(largestBody - filled.length) } })
    expect(Buffer.byteLength(body)).toBe(largestBody)
    const { status, text } = await post(app, body, { authorization })
    expect([status, text]).toEqual([200, '{"data":{"viewer":{"subject":"tester"}}}'])
  })

  it('reports at /health that it is alive, and at /ready that it is ready', async () => {
    for (const [path, status] of [
      ['/health', 'alive'],
      ['/ready', 'ready'],
    ] as const) {
      const response = await request(path)
      expect([response.status, await response.json()]).toEqual([200, { status }])
      expect((await request(path, { method: 'HEAD' })).status).toBe(200)
    }
  })

  it('answers an unknown path with 404 and the path of GraphQL', async () => {
    for (const path of ['/', '/graphql/', '/nothing', '/health/x', '/..%2f']) {
      const response = await request(path)
      expect(response.status).toBe(404)
      expect(await response.json()).toEqual({ message: 'There is nothing here. GraphQL is at /graphql.' })
    }
    expect((await request('/nothing', { method: 'HEAD' })).status).toBe(404)
  })

  it('lets pages of any origin send requests and read every response, refusals included', async () => {
    const origin = 'https://client-area.example'
    const preflight = await request('/graphql', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type',
      },
    })
    expect(preflight.status).toBe(204)
    expect(['*', origin]).toContain(preflight.headers.get('access-control-allow-origin'))
    expect(preflight.headers.get('access-control-allow-credentials')).not.toBe('true')
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST')
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/authorization, *content-type/i)
    const query = { query: '{ viewer { subject } }' }
    for (const answer of [
      await post(app, query, { origin, authorization }),
      await post(app, query, { origin, authorization: 'Bearer garbage' }),
      await post(app, 'x'.repeat(largestBody + 1), { origin, authorization }),
    ])
      expect(['*', origin]).toContain(answer.headers.get('access-control-allow-origin'))
  })

  it('answers queries by GET, and HEAD without a body', async () => {
    const path = `/graphql?query=${encodeURIComponent('{ viewer { subject } }')}`
    const response = await request(path, { headers: { authorization } })
    expect([response.status, await response.json()]).toEqual([
      200,
      { data: { viewer: { subject: 'tester' } } },
    ])
    const head = await request(path, { method: 'HEAD', headers: { authorization } })
    expect(await head.text()).toBe('')
  })
})
