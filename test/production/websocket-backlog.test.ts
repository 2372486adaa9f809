import { on, once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Server } from 'graphql-ws'
import { describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { createApp } from '../../src/app.ts'
import { customerScopes, mintToken } from '../../src/development.ts'
import { Connection } from '../../src/graphql/over-websocket/connection.ts'
import { Frames } from '../../src/graphql/over-websocket/frames.ts'
import { fixedLimits } from '../../src/limits.ts'
import { createLogger } from '../../src/log.ts'
import { createStorage, noteSecrets, quickestDatabase, startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { expectRefusal } from '../support/http.ts'
import { Network } from '../support/network.ts'
import { liveUsageDocument, openRawConnection, RawConnection } from '../support/websocket.ts'

const burst = 10_000

/** Sends a burst of operations and counts the answers, by the error's message or the message's type. */
async function answersOfBurst({ socket }: RawConnection, length = burst): Promise<Record<string, number>> {
  const answers: Record<string, number> = {}
  const waiting = new Set<string>()
  const messages = on(socket, 'message')
  for (let i = 0; i < length; i++) {
    const id = `burst ${i}`
    waiting.add(id)
    socket.send(JSON.stringify({ type: 'subscribe', id, payload: { query: '{ __typename }' } }))
  }
  for await (const [data] of messages) {
    const { type, id, payload } = JSON.parse(String(data))
    if (type === 'complete') continue
    expect(waiting.delete(id)).toBe(true)
    if (type === 'error') expectRefusal({ errors: payload }, 'OVERLOADED')
    const answer = type === 'error' ? payload[0].message : type
    answers[answer] = (answers[answer] ?? 0) + 1
    if (waiting.size === 0) break
  }
  return answers
}

async function connectionTo(app: Pick<TestApp, 'url'>, autoPong: boolean): Promise<RawConnection> {
  const url = `${app.url.replace('http', 'ws')}/graphql`
  const socket = new WebSocket(url, 'graphql-transport-ws', { autoPong })
  await once(socket, 'open')
  return await new RawConnection(socket).init()
}

async function isAnswered(connection: RawConnection): Promise<boolean> {
  const messages = on(connection.socket, 'message')
  connection.send({ type: 'subscribe', id: 'after', payload: { query: '{ __typename }' } })
  for await (const [data] of messages) {
    const { id, type } = JSON.parse(String(data))
    if (id === 'after') return type === 'next'
  }
  return false
}

describe('a client that sends 10,000 operations at once', () => {
  it('has all of them executed if they may wait that long', async () => {
    const app = await startApp({ environment: { MAX_OPERATIONS: '100000', MAX_WAIT_MS: '60000' } })
    const connection = await connectionTo(app, true)
    expect(await answersOfBurst(connection)).toEqual({ next: burst })
    connection.socket.terminate()
    await app.stop()
  })

  it('is refused the operations that waited unread for longer than MAX_WAIT_MS, and none after them', async () => {
    const app = await startApp({ environment: { MAX_OPERATIONS: '100000', MAX_WAIT_MS: '10' } })
    // To the server, a missing pong looks like one that it has not read yet.
    const connection = await connectionTo(app, false)
    const unread = 'More operations come on this WebSocket than can be read in time. Try again in a moment.'
    const answers = await answersOfBurst(connection)
    expect(Object.keys(answers).toSorted()).toEqual([unread, 'next'].toSorted())
    await expect.poll(() => isAnswered(connection)).toBe(true)
    connection.socket.terminate()
    await app.stop()
  })
})

describe('a client with a round trip of more than MAX_WAIT_MS', () => {
  it('is not taken for one with a backlog when it sends bursts', async () => {
    const app = await startApp({ environment: { MAX_OPERATIONS: '100000', MAX_WAIT_MS: '500' } })
    const network = await Network.to(Number(new URL(app.url).port))
    network.slow(500)
    const connection = await connectionTo({ url: `http://127.0.0.1:${network.port}` }, true)
    for (let bursts = 0; bursts < 3; bursts++)
      expect(await answersOfBurst(connection, 1_000)).toEqual({ next: 1_000 })
    connection.socket.terminate()
    await network.cut()
    await app.stop()
  })
})

describe('a client whose operations are all refused', () => {
  it('is still read from after its answers reach the send limit at the last message of a turn', async () => {
    const app = await startApp({ environment: { MAX_OPERATIONS: '1' } })
    const customer = await createCustomer(app, {})
    const { hostname, port } = new URL(app.url)
    const tcp = connect(Number(port), hostname)
    const url = `ws://${hostname}:${port}/graphql`
    const socket = new WebSocket(url, 'graphql-transport-ws', { createConnection: () => tcp })
    await once(socket, 'open')
    const connection = await new RawConnection(socket).init(customer.token)
    connection.send({ type: 'subscribe', id: 'live', payload: { query: liveUsageDocument } })
    expect(await connection.next()).toMatchObject({ type: 'next', id: 'live' })
    const ask = (idLength: number) =>
      connection.send({
        type: 'subscribe',
        id: 'x'.repeat(idLength),
        payload: { query: '{ __typename }' },
      })
    ask(1)
    const beside = JSON.stringify(await connection.next()).length - 1
    // A turn reads 256 messages, and 64 KB may wait to be sent: 256 bytes per answer, 4 of which frame it.
    for (const answerLength of [250, 251, 252, 253, 254]) {
      // Messages that arrive together are read in one turn.
      tcp.cork()
      for (let i = 0; i < 256; i++) ask(answerLength - beside)
      tcp.uncork()
      for (let i = 0; i < 256; i++) expect(await connection.next()).toMatchObject({ type: 'error' })
    }
    socket.terminate()
    await app.stop()
  })
})

describe('a WebSocket on which more messages have arrived than one turn may handle', () => {
  it('has as many of them handled per turn of the event loop as messagesPerTurn and one chunk hold', async () => {
    let handled = 0
    const protocol: Pick<Server<Connection>, 'opened'> = {
      opened: (socket) => {
        socket.onMessage(async () => void handled++)
        return async () => {}
      },
    }
    const http = createServer().listen(0, '127.0.0.1')
    await once(http, 'listening')
    const sockets = new WebSocketServer({ noServer: true })
    http.on('upgrade', (request, tcp, head) =>
      sockets.handleUpgrade(request, tcp, head, (socket) => {
        new Connection({
          ...{
            socket,
            tcp: tcp as Socket,
            protocol,
            frames: new Frames({ watch: () => {} }),
            log: createLogger('silent'),
          },
          limits: { pingMs: 60_000, waitMs: 60_000 },
          refusalFor: () => undefined,
          noteRefusal: () => {},
        })
      }),
    )
    const { port } = http.address() as AddressInfo
    const tcp = connect(port, '127.0.0.1')
    const client = new WebSocket(`ws://127.0.0.1:${port}`, 'graphql-transport-ws', {
      createConnection: () => tcp,
    })
    await once(client, 'open')
    const messages = 20_000
    const text = 'x'.repeat(60)
    // They arrive together.
    tcp.cork()
    for (let i = 0; i < messages; i++) client.send(text)
    tcp.uncork()
    const perTurn: number[] = []
    for (let before = 0; before < messages; before = handled) {
      await new Promise(setImmediate)
      perTurn.push(handled - before)
    }
    const frameBytes = 6 + text.length
    const chunkBytes = 65_536
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(
      fixedLimits.messagesPerTurn + Math.ceil(chunkBytes / frameBytes),
    )
    client.terminate()
    sockets.close()
    http.close()
    await once(http, 'close')
  })
})

describe('operations that are refused before they are parsed', () => {
  it('are counted in the log', async () => {
    const storage = await createStorage(quickestDatabase)
    const { config, stop } = await startApp({ storage, environment: { MAX_OPERATIONS: '1' } })
    await stop()
    const lines: string[] = []
    const log = createLogger('debug', { write: (line) => void lines.push(line) })
    const app = await createApp({ config, log })
    const token = await mintToken(config.auth, {
      subject: 'reader',
      scopes: customerScopes,
      account: 'logged',
    })
    const connection = await (await openRawConnection(app)).init(noteSecrets(token))
    connection.send({ type: 'subscribe', id: 'live', payload: { query: liveUsageDocument } })
    expect(await connection.next()).toMatchObject({ type: 'next', id: 'live' })
    for (const id of ['one', 'two', 'three']) {
      connection.send({ type: 'subscribe', id, payload: { query: '{ __typename }' } })
      expect(await connection.next()).toMatchObject({ type: 'error', id })
    }
    const refusals = () =>
      lines.map((line) => JSON.parse(line)).filter(({ codes }) => codes?.includes('OVERLOADED'))
    const counted = () => refusals().reduce((sum, { refused }) => sum + refused, 0)
    await expect.poll(counted, { timeout: 10_000 }).toBe(3)
    expect(refusals()[0]).toMatchObject({ transport: 'websocket', codes: ['OVERLOADED'] })
    connection.send({ type: 'subscribe', id: 'last', payload: { query: '{ __typename }' } })
    expect(await connection.next()).toMatchObject({ type: 'error', id: 'last' })
    connection.socket.terminate()
    await app.stop()
    // Without waiting for the second in which it would have been counted.
    expect(counted()).toBe(4)
    await storage.drop()
  })
})
