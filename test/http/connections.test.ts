import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { customerScopes } from '../../src/development.ts'
import { createStorage, quickestDatabase, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import { post } from '../support/http.ts'
import { rawRequest } from '../support/raw-request.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { closeOf, liveUsageDocument, openRawConnection } from '../support/websocket.ts'

/** For conditions that become true in a moment, or later on a slow machine. */
const patiently = { timeout: 10_000, interval: 20 }

const largestBody = 1_048_576
const viewer = JSON.stringify({ query: '{ viewer { subject } }' })
const health = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

/** What Java's HTTP client sends with its first request on each connection. */
const offerOfHttp2 =
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk'

function open({ url }: { url: string }): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname)
    .setEncoding('utf8')
    .on('error', () => {})
}

describe('an HTTP connection', () => {
  let app: TestApp
  let authorization: string

  beforeAll(async () => {
    app = await startApp()
    authorization = `Bearer ${(await createCustomer(app, {})).token}`
  })
  afterAll(() => app.stop())

  it('stays usable after a refused request', async () => {
    const { answers } = await rawRequest(app, { chunks: ['x'.repeat(largestBody + 1)], next: health })
    expect(answers).toEqual([413, 200])
  })

  it('does not wait for another one whose request is still arriving', async () => {
    const slow = open(app)
    const head = `Host: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\nContent-Type: application/json`
    slow.write(
      `POST /graphql HTTP/1.1\r\n${head}\r\nContent-Length: ${viewer.length}\r\n\r\n${viewer.slice(0, 5)}`,
    )
    expect((await post(app, viewer, { authorization })).data).toEqual({ viewer: { subject: 'tester' } })
    slow.write(viewer.slice(5))
    expect((await slow.toArray()).join('')).toContain('{"data":{"viewer":{"subject":"tester"}}}')
  })

  it.each([
    ['POST with Content-Length', 'POST', '', `Content-Length: ${viewer.length}\r\n\r\n${viewer}`],
    [
      'chunked POST',
      'POST',
      '',
      `Transfer-Encoding: chunked\r\n\r\n${viewer.length.toString(16)}\r\n${viewer}\r\n0\r\n\r\n`,
    ],
    ['GET', 'GET', `?query=${encodeURIComponent('{ viewer { subject } }')}`, '\r\n'],
  ])('is answered over HTTP/1.1 when it offers HTTP/2: %s', async (_, method, query, rest) => {
    const socket = open(app)
    const head = `Host: x\r\n${offerOfHttp2}\r\nAuthorization: ${authorization}\r\nContent-Type: application/json`
    const request = `${method} /graphql${query} HTTP/1.1\r\n${head}\r\n${rest}`
    // In two parts, so that the server sees the offer before the end of the request.
    socket.write(request.slice(0, -7))
    await new Promise((resolve) => socket.write(request.slice(-7), resolve))
    const [first] = await once(socket, 'data')
    expect(first).toContain('{"data":{"viewer":{"subject":"tester"}}}')
    socket.write(health)
    expect((await socket.toArray()).join('')).toContain('{"status":"alive"}')
  })

  it.each(['h2c', 'websocket'])('is closed if it offers %s while a response is pending', async (protocol) => {
    const socket = open(app)
    const body = JSON.stringify({ query: '{ account { apiKeys { totalCount } } }' })
    const head =
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
      `Authorization: ${authorization}\r\nContent-Length: ${body.length}\r\n`
    const offer = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\n`
    // A later answer would be taken for the answer to the first request.
    socket.on('data', () => socket.write(health))
    socket.write(`${head}\r\n${body}${head}${offer}\r\n${body}`)
    await once(socket, 'close')
    expect((await post(app, { query: '{ __typename }' })).status).toBe(200)
  })
})

describe('a connection that offers HTTP/2 with every request', () => {
  let storage: TestStorage
  let server: ServerProcess

  beforeAll(async () => {
    storage = await createStorage(quickestDatabase)
    server = await startServerProcess({ ...storage.environment, LOG_LEVEL: 'warn' })
  })
  afterAll(async () => {
    server.kill('SIGTERM')
    expect(await server.exited).toBe(0)
    await storage.drop()
  })

  it('is answered 100 times without leaking listeners, of which Node.js would warn', async () => {
    const socket = open(server)
    for (let time = 0; time < 100; time++) {
      socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n${offerOfHttp2}\r\n\r\n`)
      const [answer] = await once(socket, 'data')
      expect(answer).toContain('{"status":"alive"}')
    }
    socket.destroy()
    expect(server.output()).not.toContain('Warning')
  })
})

describe('a slot of', () => {
  const mostConnections = 12
  const mostWebSockets = 3
  const mostOfAnAccount = 2
  let app: TestApp
  let customer: Customer
  let opened: { terminate(): void }[] = []

  beforeAll(async () => {
    app = await startApp({
      environment: {
        MAX_CONNECTIONS: String(mostConnections),
        MAX_WEBSOCKETS: String(mostWebSockets),
        MAX_WEBSOCKETS_PER_ACCOUNT: String(mostOfAnAccount),
        PING_INTERVAL_MS: '300',
        IDLE_TIMEOUT_MS: '300',
      },
    })
    customer = await createCustomer(app, {})
  })
  afterAll(() => app.stop())
  afterEach(async () => {
    for (const connection of opened) connection.terminate()
    opened = []
  })

  function keep<Connection extends { terminate(): void }>(connection: Connection): Connection {
    opened.push(connection)
    return connection
  }

  function tcp(): Socket {
    const socket = open(app)
    keep({ terminate: () => socket.destroy() })
    return socket
  }

  /** Whether `/health` is answered on one more connection. */
  async function isServed(): Promise<boolean> {
    const socket = tcp()
    socket.write(health)
    const answer = await socket.toArray().catch(() => [])
    return answer.join('').includes('{"status":"alive"}')
  }

  describe('MAX_CONNECTIONS', () => {
    /** Connections that send the head of a request and no more, so that none of them is idle. */
    async function fill(): Promise<Socket[]> {
      const sockets: Socket[] = []
      while (sockets.length < mostConnections) {
        const socket = tcp()
        socket.write('POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n')
        // The server may not have released an earlier connection yet.
        const accepted = await Promise.race([
          once(socket, 'data').then(() => true),
          once(socket, 'close').then(() => false),
        ])
        if (accepted) sockets.push(socket)
      }
      return sockets
    }

    it.each<[string, (socket: Socket) => void]>([
      ['closed', (socket) => socket.end()],
      ['reset', (socket) => void socket.resetAndDestroy()],
    ])('is released when a connection is %s', async (_, leave) => {
      const [first] = await fill()
      expect(await isServed()).toBe(false)
      leave(first as Socket)
      await expect.poll(isServed, patiently).toBe(true)
    })
  })

  /** The status of the response to one more WebSocket handshake. */
  async function upgradeStatus(): Promise<number> {
    const socket = keep(new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws'))
    socket.on('error', () => {})
    const status = await Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number),
    ])
    socket.terminate()
    return status
  }

  describe('MAX_WEBSOCKETS', () => {
    it.each<[string, (socket: WebSocket) => void]>([
      ['closes it', (socket) => socket.close()],
      ['disconnects', (socket) => socket.terminate()],
      ['breaks the protocol', (socket) => socket.send('nonsense')],
      ['no longer answers pings', (socket) => socket.pause()],
    ])('is released when a client %s', async (_, leave) => {
      await expect.poll(upgradeStatus, patiently).toBe(101)
      const sockets: WebSocket[] = []
      await expect
        .poll(async () => {
          const { socket } = await openRawConnection(app).catch(() => ({ socket: undefined }))
          if (socket) sockets.push(keep(socket))
          return sockets.length
        }, patiently)
        .toBe(mostWebSockets)
      expect(await upgradeStatus()).toBe(503)
      leave(sockets[0] as WebSocket)
      await expect.poll(upgradeStatus, patiently).toBe(101)
    })
  })

  describe('MAX_WEBSOCKETS_PER_ACCOUNT', () => {
    const lasting = () => app.token({ account: customer.externalId, scopes: customerScopes })

    /** `connection_ack` if one more WebSocket of the account is accepted, otherwise its close code. */
    async function webSocketIs(): Promise<string | number> {
      const connection = await openRawConnection(app)
      keep(connection.socket)
      const closed = closeOf(connection.socket)
      connection.send({ type: 'connection_init', payload: { authorization: `Bearer ${await lasting()}` } })
      const type = (await connection.next())?.type
      connection.socket.terminate()
      return type ?? (await closed).code
    }

    const stream = async (token: string) => {
      const client = new AbortController()
      keep({ terminate: () => client.abort() })
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: {
          accept: 'text/event-stream',
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
        },
        body: JSON.stringify({ query: liveUsageDocument }),
        signal: client.signal,
      })
      expect(response.status).toBe(200)
      return () => client.abort()
    }
    const webSocket = async (token: string) => {
      const connection = await openRawConnection(app)
      keep(connection.socket)
      await connection.init(token)
      return () => connection.socket.terminate()
    }
    const expire = () => app.clock.set(new Date(Date.now() + 2 * 3_600_000))

    it.each<[string, typeof stream, 'leaves' | 'expires']>([
      ['an event stream whose client disconnects', stream, 'leaves'],
      ['an event stream whose token expires', stream, 'expires'],
      ['a WebSocket whose client disconnects', webSocket, 'leaves'],
      ['a WebSocket whose token expires', webSocket, 'expires'],
    ])('is released by %s', async (_, connectWith, ends) => {
      await expect.poll(webSocketIs, patiently).toBe('connection_ack')
      const brief = await app.token({
        account: customer.externalId,
        scopes: customerScopes,
        lifetime: ends === 'expires' ? '1h' : '3650d',
      })
      let leave = () => {}
      // The slot of the previous WebSocket may be released a moment later.
      await expect
        .poll(async () => {
          leave = await connectWith(brief)
          return true
        }, patiently)
        .toBe(true)
      await expect.poll(() => stream(brief).then(() => true), patiently).toBe(true)
      expect(await webSocketIs()).toBe(1013)
      if (ends === 'expires') expire()
      else leave()
      await expect.poll(webSocketIs, patiently).toBe('connection_ack')
      app.clock.set(new Date())
    })
  })
})
