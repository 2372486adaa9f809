import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createCors } from '../../src/http/cors.ts'
import { HttpServer } from '../../src/http/server.ts'
import { UnsentBytes } from '../../src/http/unsent.ts'
import { fixedLimits, limitSettings } from '../../src/limits.ts'
import { createLogger } from '../../src/log.ts'

/** For conditions that become true in a moment, or later on a slow machine. */
const patiently = { timeout: 10_000, interval: 10 }

const defaults = Object.fromEntries(
  Object.entries(limitSettings).map(([name, { byDefault }]) => [name, byDefault]),
) as Record<keyof typeof limitSettings, number>

const undone: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of undone.splice(0).reverse()) await undo()
})

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A server with one route, which calls `answer`. Its accounts are named by the query string. */
async function serve(answer: Answer, limits: Partial<typeof defaults> = {}) {
  const all = { ...defaults, ...limits }
  const unsent = new UnsentBytes(all)
  const route = {
    path: '/',
    serve(request: IncomingMessage, response: ServerResponse) {
      unsent.attribute(request.socket, request.url?.split('?')[1])
      answer(request, response)
    },
  }
  const server = new HttpServer({
    routes: [route],
    cors: createCors(),
    log: createLogger('silent'),
    limits: all,
    unsent,
  })
  const port = await server.listen('127.0.0.1', 0)
  undone.push(() => server.stop(0))
  const open = (): Socket => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    undone.push(() => socket.destroy())
    return socket
  }
  return { server, unsent, open }
}

const get = (account = '') => `GET /${account && `?${account}`} HTTP/1.1\r\nHost: x\r\n\r\n`
const megabyte = Buffer.alloc(1_048_576, 'x')
/** More than the operating system buffers on a connection. */
const much = Buffer.concat(Array(12).fill(megabyte))

/** Waits until the server has this many requests in flight. A client that does not read does not notice a close. */
const inFlight = (server: HttpServer, count: number) =>
  expect.poll(() => server.connections.requests, patiently).toBe(count)

it('reads no further requests from a connection with 64 in flight, and answers all of them in order', async () => {
  const waiting: [string, ServerResponse][] = []
  let most = 0
  const { server, open } = await serve(({ url = '' }, response) => {
    waiting.push([url, response])
    most = Math.max(most, server.connections.requests)
  })
  const socket = open().setEncoding('utf8')
  const requests = 3_000
  // Each is larger than a sixty-fourth of what Node.js reads at a time.
  for (let i = 0; i < requests; i++)
    socket.write(`GET /?${i} HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(1_000)}\r\n\r\n`)
  let text = ''
  socket.on('data', (data) => {
    text += data
  })
  await expect.poll(() => waiting.length, patiently).toBeGreaterThanOrEqual(fixedLimits.requestsPerConnection)
  const answer = setInterval(() => {
    for (const [url, response] of waiting.splice(0)) response.end(`${url}\n`)
  })
  undone.push(() => clearInterval(answer))
  await expect.poll(() => text.includes(`?${requests - 1}\n`), { ...patiently, timeout: 25_000 }).toBe(true)
  const numbers = [...text.matchAll(/\?(\d+)\n/g)].map(([, number]) => Number(number))
  expect(numbers).toEqual(Array.from({ length: requests }, (_, i) => i))
  // What one read of 64 KiB brings may be in flight on top.
  expect(most).toBeLessThan(2 * fixedLimits.requestsPerConnection)
})

it('takes no more requests from clients that pipeline without reading the answers', async () => {
  let answered = 0
  const { server, open } = await serve((_, response) => {
    answered++
    response.end(megabyte)
  })
  const sockets = [open(), open(), open()]
  for (const socket of sockets) for (let i = 0; i < 20; i++) socket.write(get().repeat(100))
  await expect.poll(() => answered, patiently).toBeGreaterThan(3 * fixedLimits.requestsPerConnection - 1)
  await inFlight(server, 0)
  // One read of 64 KiB brings more than a thousand of these, and the next one does not happen.
  expect(answered).toBeLessThan(3 * 2_100)
})

it('closes a connection with 256 requests in flight, and serves nothing that came with them', async () => {
  let asked = 0
  const { server, open } = await serve(() => void asked++)
  const socket = open()
  socket.write(get().repeat(2_000))
  await once(socket, 'close')
  await inFlight(server, 0)
  expect(asked).toBe(fixedLimits.pipelinedRequests)
})

it('releases every request of a client that pipelines and disconnects', async () => {
  const closed: ServerResponse[] = []
  const { server, open } = await serve(
    (_, response) => void response.once('close', () => closed.push(response)),
  )
  const socket = open()
  socket.write(get().repeat(20))
  await inFlight(server, 20)
  socket.destroy()
  await inFlight(server, 0)
  expect(closed.map(({ destroyed }) => destroyed)).toEqual(Array(20).fill(true))
})

it('closes a connection that pipelines while the server has as many requests as it may have', async () => {
  const { server, open } = await serve(() => {}, { requests: 10 })
  const few = open()
  few.write(get().repeat(20))
  const many = open()
  many.write(get().repeat(100))
  await once(many, 'close')
  await inFlight(server, 20)
  expect(few.destroyed).toBe(false)
})

it('closes a connection whose client reads nothing for WRITE_TIMEOUT_MS, and no other', async () => {
  const slow: ServerResponse[] = []
  const { open } = await serve(
    ({ url }, response) => {
      if (url === '/?later') slow.push(response)
      else response.end(Buffer.concat([much, much]))
    },
    { writeMs: 300 },
  )
  const waiting = open()
  waiting.write(get('later'))
  await expect.poll(() => slow.length, patiently).toBe(1)
  const reading = open()
  let received = 0
  reading.write(get())
  reading.on('data', (data) => {
    received += data.length
  })
  const unread = open()
  unread.write(get())
  let read = 0
  await once(unread, 'readable')
  const { closed } = { closed: once(unread, 'close') }
  await expect.poll(() => received, patiently).toBeGreaterThan(2 * much.length)
  // The time has passed when a connection without a request, which may idle as long, is closed.
  await once(open().resume(), 'close')
  await once(open().resume(), 'close')
  unread.on('data', (data) => {
    read += data.length
  })
  await closed
  expect(read).toBeLessThan(2 * much.length)
  slow[0]?.end('at last')
  const [answer] = await once(waiting, 'data')
  expect(String(answer)).toContain('at last')
})

it.each([
  ['MAX_UNSENT_BYTES', { unsentResponseBytes: 2_000_000 }, ['']],
  ['MAX_UNSENT_BYTES_PER_ACCOUNT', { unsentResponseBytesPerAccount: 2_000_000 }, ['one']],
])('closes the connections that hold the most beyond %s', async (_, limits, [account = '']) => {
  const streams: ServerResponse[] = []
  const { server, open } = await serve(({ headers }, response) => {
    if (headers.accept) streams.push(response.writeHead(200))
    // Without an end, as an event stream.
    else response.write(much)
  }, limits)
  const stream = open()
  stream.write(get(account).replace('\r\n\r\n', '\r\nAccept: text/event-stream\r\n\r\n'))
  await expect.poll(() => streams.length, patiently).toBe(1)
  const unread = [open(), open(), open()]
  for (const socket of unread) socket.write(get(account))
  await Promise.all(unread.map((socket) => once(socket, 'readable')))
  await inFlight(server, 1)
  streams[0]?.write('an event')
  await expect.poll(() => String(stream.read() ?? ''), patiently).toContain('an event')
})

it('closes the WebSockets that hold the most beyond MAX_UNSENT_BYTES_PER_ACCOUNT', async () => {
  const { server, unsent, open } = await serve(() => {}, { unsentResponseBytesPerAccount: 2_000_000 })
  const accepted: Socket[] = []
  server.onWebSocket((request, duplex) => {
    const socket = duplex as Socket
    accepted.push(socket.on('error', () => {}))
    unsent.attribute(socket, 'one')
    socket.write(request.url === '/?much' ? much : 'little')
    unsent.watch(socket)
  })
  const upgrade = (url: string) =>
    `GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`
  for (const url of ['/', '/?much', '/?much', '/?much']) open().write(upgrade(url))
  await expect.poll(() => accepted.length, patiently).toBe(4)
  await expect.poll(() => accepted.filter(({ destroyed }) => destroyed).length, patiently).toBe(3)
  const left = accepted.filter(({ destroyed }) => !destroyed)
  expect(left.map(({ bytesWritten }) => bytesWritten)).toEqual(['little'.length])
  left[0]?.destroy()
})

it('leaves other accounts within MAX_UNSENT_BYTES_PER_ACCOUNT alone', async () => {
  const { server, open } = await serve((_, response) => void response.write(much), {
    unsentResponseBytesPerAccount: 2_000_000,
    unsentResponseBytes: 1_000_000_000,
  })
  const nobody = open()
  nobody.write(get())
  await once(nobody, 'readable')
  const one = open()
  one.write(get('one'))
  await once(one, 'readable')
  await inFlight(server, 1)
  expect(nobody.destroyed).toBe(false)
  let received = 0
  nobody.on('data', (data) => {
    received += data.length
  })
  await expect.poll(() => received, patiently).toBeGreaterThan(much.length)
})
