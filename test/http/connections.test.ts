import { once } from 'node:events'
import { connect, Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { post } from '../support/http.ts'
import { rawRequest } from '../support/raw-request.ts'

const largestBody = 1_048_576

describe('an HTTP connection', () => {
  let app: TestApp
  let authorization: string

  beforeAll(async () => {
    app = await startApp()
    const customer = await createCustomer(app, {})
    authorization = `Bearer ${customer.token}`
  })
  afterAll(() => app.stop())

  it('stays usable after a refused request', async () => {
    const { answers } = await rawRequest(app, {
      chunks: ['x'.repeat(largestBody + 1)],
      next: 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    })
    expect(answers).toEqual([413, 200])
  })

  it.each([
    [
      'POST with Content-Length',
      'POST',
      '',
      (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`,
    ],
    [
      'chunked POST',
      'POST',
      '',
      (body: string) =>
        `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    ],
    ['GET', 'GET', `?query=${encodeURIComponent('{ viewer { subject } }')}`, () => '\r\n'],
  ])(
    'stays HTTP/1.1 if the client offers HTTP/2, as Java’s client does: %s',
    async (_, method, query, rest) => {
      const { hostname, port } = new URL(app.url)
      const socket = connect(Number(port), hostname)
      const offer =
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk'
      const head = `Host: x\r\n${offer}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json`
      const request = `${method} /graphql${query} HTTP/1.1\r\n${head}\r\n${rest(JSON.stringify({ query: '{ viewer { subject } }' }))}`
      const [start, end] = [request.slice(0, -7), request.slice(-7)]
      socket.write(start)
      await new Promise((resolve) => socket.write(end, resolve))
      const last = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      const answers = socket.setEncoding('utf8')
      const [first] = await once(answers, 'data')
      expect(first).toContain('{"data":{"viewer":{"subject":"tester"}}}')
      socket.write(last)
      expect((await answers.toArray()).join('')).toContain('{"status":"alive"}')
    },
  )

  it('accumulates no listeners over repeated offers of HTTP/2', async () => {
    const { hostname, port } = new URL(app.url)
    const accepted = vi.spyOn(Server.prototype, 'emit')
    const socket = connect(Number(port), hostname).setEncoding('utf8')
    const offer = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
    const listeners: number[] = []
    for (let time = 0; time < 20; time++) {
      socket.write(offer)
      const [answer] = await once(socket, 'data')
      expect(answer).toContain('{"status":"alive"}')
      const calls = accepted.mock.calls as unknown[][]
      const [, own] = calls.find(
        ([event, on]) => event === 'connection' && (on as Socket).remotePort === socket.localPort,
      ) as [string, Socket]
      listeners.push(own.listenerCount('close'))
    }
    accepted.mockRestore()
    socket.destroy()
    expect(listeners[0]).toBeGreaterThan(0)
    expect(listeners.at(-1)).toBe(listeners[1])
  })

  it.each(['h2c', 'websocket'])(
    'is closed if the client offers %s while a response is pending',
    async (protocol) => {
      const { hostname, port } = new URL(app.url)
      const socket = connect(Number(port), hostname).on('error', () => {})
      const body = JSON.stringify({ query: '{ account { apiKeys { totalCount } } }' })
      const head =
        'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        `Authorization: ${authorization}\r\nContent-Length: ${body.length}\r\n`
      const offer = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\n`
      // A request sent after the first response must not be mistaken for the pipelined one.
      socket.on('data', () => socket.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))
      socket.write(`${head}\r\n${body}${head}${offer}\r\n${body}`)
      await once(socket, 'close')
      expect((await post(app, { query: '{ __typename }' })).status).toBe(200)
    },
  )

  it('does not block other connections while its request is still arriving', async () => {
    const { hostname, port } = new URL(app.url)
    const slow = connect(Number(port), hostname)
    const body = JSON.stringify({ query: '{ viewer { subject } }' })
    const head = `Host: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\nContent-Type: application/json`
    slow.write(
      `POST /graphql HTTP/1.1\r\n${head}\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    )
    expect((await post(app, body, { authorization })).data).toEqual({ viewer: { subject: 'tester' } })
    slow.write(body.slice(5))
    const answer = await slow.setEncoding('utf8').toArray()
    expect(answer.join('')).toContain('{"data":{"viewer":{"subject":"tester"}}}')
  })
})
