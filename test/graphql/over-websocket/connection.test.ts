import { on, once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { startApp, type TestApp } from '../../support/app.ts'
import { createCustomer } from '../../support/customer.ts'
import { expectRefusal } from '../../support/http.ts'
import { liveUsageDocument, RawConnection } from '../../support/websocket.ts'

const burst = 10_000

/** Sends a burst of operations and counts the answers, by the error's message or the message's type. */
async function answersOfBurst({ socket }: RawConnection): Promise<Record<string, number>> {
  const answers: Record<string, number> = {}
  const waiting = new Set<string>()
  const messages = on(socket, 'message')
  for (let i = 0; i < burst; i++) {
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

async function connectionTo(app: TestApp, autoPong: boolean): Promise<RawConnection> {
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
