import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { startApp, type TestApp } from './support/app.ts'
import { type Customer, createCustomer, createGateway } from './support/customer.ts'
import { expectNothingInternal, expectRefusal, post } from './support/http.ts'
import { closeOf, liveUsageDocument, openRawConnection, type RawConnection } from './support/websocket.ts'

const environment = {
  MAX_CONNECTIONS: '30',
  MAX_WEBSOCKETS: '5',
  MAX_WEBSOCKETS_PER_ACCOUNT: '2',
  MAX_SUBSCRIPTIONS: '2',
  MAX_OPERATIONS: '3',
  MAX_BODY_BYTES: '2000',
  MAX_FRAME_BYTES: '3000',
  MAX_HEADER_BYTES: '4000',
  CONNECTION_INIT_TIMEOUT_MS: '1000',
  PING_INTERVAL_MS: '300',
  HEADERS_TIMEOUT_MS: '1000',
  REQUEST_TIMEOUT_MS: '1200',
  IDLE_TIMEOUT_MS: '300',
}

/** For conditions that become true in a moment, or later on a slow machine. */
const patiently = { timeout: 10_000, interval: 20 }

describe('a server with limits', () => {
  let app: TestApp
  let customer: Customer
  let other: Customer
  let gateway: string
  let opened: { terminate(): void }[] = []

  beforeAll(async () => {
    app = await startApp({ environment })
    customer = await createCustomer(app, {})
    other = await createCustomer(app, {})
    gateway = (await createGateway(app)).token
  })
  afterAll(() => app.stop())
  /** Waits until the server has released the connections, which happens shortly after the client closes them. */
  afterEach(async () => {
    for (const connection of opened) connection.terminate()
    opened = []
    await expect.poll(() => upgradeStatus(), patiently).toBe(101)
  })

  async function open(): Promise<RawConnection> {
    const connection = await openRawConnection(app)
    opened.push(connection.socket)
    return connection
  }

  /** The status of the response to another WebSocket handshake. */
  async function upgradeStatus(): Promise<number | undefined> {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
    socket.on('error', () => {})
    const status = await Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode),
    ])
    socket.terminate()
    return status
  }

  function tcp(): Socket {
    const { hostname, port } = new URL(app.url)
    const socket = connect(Number(port), hostname).on('error', () => {})
    opened.push({ terminate: () => socket.destroy() })
    return socket.setEncoding('utf8')
  }

  /** Everything that the server sends before it closes the connection. */
  const received = async (socket: Socket) => (await socket.toArray()).join('')

  function subscribe(connection: RawConnection, id: string): void {
    connection.send({ type: 'subscribe', id, payload: { query: liveUsageDocument } })
  }

  async function connectionIsReleased(): Promise<void> {
    const answer = async () => {
      const again = await open()
      again.send({ type: 'connection_init', payload: { authorization: `Bearer ${customer.token}` } })
      return (await again.next())?.type
    }
    await expect.poll(answer, patiently).toBe('connection_ack')
  }

  describe('on connections', () => {
    it('closes those beyond MAX_CONNECTIONS on arrival', async () => {
      const sockets = Array.from({ length: 30 }, tcp)
      await Promise.all(sockets.map((socket) => once(socket, 'connect')))
      const beyond = tcp()
      expect(await received(beyond)).toBe('')
      for (const socket of sockets) socket.destroy()
      await expect.poll(async () => (await fetch(`${app.url}/health`)).status, patiently).toBe(200)
    })

    it('refuses a WebSocket beyond MAX_WEBSOCKETS with 503 and OVERLOADED', async () => {
      for (let i = 0; i < 5; i++) await (await open()).init(gateway)
      const socket = tcp()
      socket.write(
        'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      )
      const [head = '', body = ''] = (await received(socket)).split('\r\n\r\n')
      expect(head).toContain('HTTP/1.1 503 ')
      expectRefusal(JSON.parse(body), 'OVERLOADED')
      expect((await fetch(`${app.url}/health`)).status).toBe(200)
    })

    it('closes an account’s WebSockets beyond MAX_WEBSOCKETS_PER_ACCOUNT with 1013, and no others', async () => {
      const first = await (await open()).init(customer.token)
      await (await open()).init(customer.token)
      const third = await open()
      const closed = closeOf(third.socket)
      third.send({ type: 'connection_init', payload: { authorization: `Bearer ${customer.token}` } })
      expect(await closed).toMatchObject({ code: 1013 })
      const stream = await post(
        app,
        { query: liveUsageDocument },
        { accept: 'text/event-stream', authorization: `Bearer ${customer.token}` },
      )
      // As an event, because that is the type that the client accepts.
      expect([stream.status, stream.text]).toEqual([503, expect.stringContaining('"code":"OVERLOADED"')])
      await (await open()).init(other.token)
      first.socket.terminate()
      await connectionIsReleased()
    })

    it.each(['text/event-stream', 'Text/Event-Stream', 'text/*', '*/*'])(
      'counts open event streams among an account’s WebSockets: Accept: %s',
      async (accept) => {
        const streams = await Promise.all(
          [1, 2].map(async () => {
            const abort = new AbortController()
            const response = await fetch(`${app.url}/graphql`, {
              method: 'POST',
              headers: {
                accept,
                authorization: `Bearer ${customer.token}`,
                'content-type': 'application/json',
              },
              body: JSON.stringify({ query: liveUsageDocument }),
              signal: abort.signal,
            })
            return { response, abort }
          }),
        )
        expect(streams.map(({ response }) => response.status)).toEqual([200, 200])
        const refused = await open()
        const closed = closeOf(refused.socket)
        refused.send({ type: 'connection_init', payload: { authorization: `Bearer ${customer.token}` } })
        expect((await closed).code).toBe(1013)
        const headers = { accept, authorization: `Bearer ${customer.token}` }
        const third = await post(app, { query: liveUsageDocument }, headers)
        expect(third.status).toBe(503)
        expect(third.text).toContain('OVERLOADED')
        expectNothingInternal(third.text)
        for (const { abort } of streams) abort.abort()
        await connectionIsReleased()
      },
    )
  })

  describe('on one WebSocket', () => {
    it('refuses a subscription beyond MAX_SUBSCRIPTIONS until another one ends', async () => {
      const connection = await (await open()).init(customer.token)
      for (const id of ['a', 'b']) {
        subscribe(connection, id)
        expect(await connection.next()).toMatchObject({ type: 'next', id })
      }
      subscribe(connection, 'c')
      const refusal = await connection.next()
      expect(refusal).toMatchObject({ type: 'error', id: 'c' })
      expectRefusal({ errors: refusal?.payload as never }, 'OVERLOADED')
      connection.send({ type: 'complete', id: 'a' })
      await expect
        .poll(async () => {
          subscribe(connection, 'd')
          return (await connection.next())?.type
        }, patiently)
        .toBe('next')
    })

    it('refuses an operation beyond MAX_OPERATIONS immediately, even if ids are reused', async () => {
      const connection = await (await open()).init(customer.token)
      const query = '{ account { apiKeys(first: 1) { totalCount } } }'
      for (let i = 0; i < 6; i++) {
        connection.send({ type: 'subscribe', id: 'same', payload: { query } })
        connection.send({ type: 'complete', id: 'same' })
      }
      connection.send({ type: 'subscribe', id: 'last', payload: { query } })
      let message = await connection.next()
      while (message?.id !== 'last') message = await connection.next()
      expect(message.type).toBe('error')
      expectRefusal({ errors: message.payload as never }, 'OVERLOADED')
      // Operations that the client completed early are released, too.
      await expect
        .poll(async () => {
          connection.send({ type: 'subscribe', id: 'next', payload: { query } })
          let answer = await connection.next()
          while (answer?.id !== 'next' || answer.type === 'complete') answer = await connection.next()
          return answer.type
        }, patiently)
        .toBe('next')
    })

    it.each([
      ['4408: no connection_init within CONNECTION_INIT_TIMEOUT_MS', 4408, []],
      ['1009: a message beyond MAX_FRAME_BYTES', 1009, ['x'.repeat(3_001)]],
    ])('closes it with %s', async (_, code, messages) => {
      const { socket } = await open()
      const closed = closeOf(socket)
      for (const message of messages) socket.send(message)
      expect((await closed).code).toBe(code)
    })

    it('disconnects a client that has not answered a ping by the next one, and no other', async () => {
      const alive = await (await open()).init(gateway)
      const dead = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
        autoPong: false,
      })
      opened.push(dead)
      await once(dead, 'open')
      dead.send(JSON.stringify({ type: 'connection_init' }))
      expect((await closeOf(dead)).code).toBe(1006)
      await once(alive.socket, 'ping')
      alive.send({ type: 'ping' })
      expect(await alive.next()).toEqual({ type: 'pong' })
    })

    it('stops reading from a client that does not read, instead of buffering its answers', async () => {
      const { socket } = await (await open()).init(gateway)
      socket.pause()
      // A few megabytes fill the kernel's buffers on both sides; the rest stays with the client.
      const message = JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(2_000) } })
      for (let sent = 0; sent < 60_000_000; sent += message.length) socket.send(message)
      let left = 0
      const looking = setInterval(() => {
        left = socket.bufferedAmount || left
      }, 10)
      // The paused client does not answer pings either, so the server closes the connection.
      await once(socket, 'close')
      clearInterval(looking)
      expect(left).toBeGreaterThan(30_000_000)
    })
  })

  describe('on requests', () => {
    const request = (more: string) => `POST /graphql HTTP/1.1\r\nHost: x\r\n${more}`
    const json = (text: string) => JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))

    const refused: [string, number, string][] = [
      ['headers beyond MAX_HEADER_BYTES', 431, request(`X: ${'x'.repeat(5_000)}\r\n\r\n`)],
      ['headers that are incomplete after HEADERS_TIMEOUT_MS', 408, request('X: x')],
      ['a body that is incomplete after REQUEST_TIMEOUT_MS', 408, request('Content-Length: 9\r\n\r\n{')],
      ['malformed HTTP', 400, 'nonsense\r\n\r\n'],
      [
        'a body beyond MAX_BODY_BYTES',
        413,
        request(`Connection: close\r\nContent-Length: 2001\r\n\r\n${'x'.repeat(2_001)}`),
      ],
    ]

    it('gives a reason for each refusal, and closes idle connections', async () => {
      const answers = refused.map(async ([what, status, text]) => {
        const socket = tcp()
        socket.write(text)
        return { what, status, answer: await received(socket) }
      })
      const silent = tcp()
      const asked = tcp()
      asked.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
      const idle = [silent, asked].map(received)
      for (const { what, status, answer } of await Promise.all(answers)) {
        expect([what, Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1])]).toEqual([what, status])
        expectRefusal(json(answer), 'BAD_USER_INPUT')
        expectNothingInternal(answer)
      }
      expect((await Promise.all(idle)).map((answer) => answer.includes('HTTP/1.1 200 OK'))).toEqual([
        false,
        true,
      ])
    })
  })
})
