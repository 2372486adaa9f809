import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { expectRefusal, type HttpAnswer, post } from '../support/http.ts'
import { closeOf, openRawConnection } from '../support/websocket.ts'

describe('a server with MAX_REQUESTS requests in flight', () => {
  it('refuses further ones with 503 and OVERLOADED, and still answers /health', async () => {
    const app = await startApp({ environment: { MAX_REQUESTS: '1' } })
    const { hostname, port } = new URL(app.url)
    const slow = connect(Number(port), hostname)
    const body = JSON.stringify({ query: '{ __typename }' })
    slow.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    )
    await once(slow, 'data')
    const refused = await post(app, { query: '{ __typename }' })
    expect(refused.status).toBe(503)
    expectRefusal(refused, 'OVERLOADED')
    expect((await fetch(`${app.url}/health`)).status).toBe(200)
    slow.write(body)
    expect(String(Buffer.concat(await slow.toArray()))).toContain('{"data":{"__typename":"Query"}}')
    await app.stop()
  })
})

describe('a server with more than MAX_WAITING_QUERIES queued statements', () => {
  it('refuses operations and WebSockets until the queue is drained, and still answers /health', async () => {
    const app = await startApp({ database: 'embedded', environment: { MAX_WAITING_QUERIES: '4' } })
    const customer = await createCustomer(app, {})
    const count = () =>
      post(
        app,
        { query: '{ account { apiKeys { totalCount } } }' },
        { authorization: `Bearer ${customer.token}` },
      )
    const answers: HttpAnswer[] = []
    const asked: Promise<unknown>[] = []
    // The embedded database has a single connection, which the transaction occupies.
    await app.services.prisma.$transaction(async () => {
      while (answers.length < 5) {
        asked.push(count().then((answer) => answers.push(answer)))
        expect((await fetch(`${app.url}/health`)).status).toBe(200)
      }
      for (const answer of answers) {
        expect(answer.status).toBe(503)
        expectRefusal(answer, 'OVERLOADED')
      }
      const connection = await openRawConnection(app)
      const closed = closeOf(connection.socket)
      connection.send({ type: 'connection_init', payload: { authorization: `Bearer ${customer.token}` } })
      expect((await closed).code).toBe(1013)
    })
    await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toContain(200)
    expect((await count()).status).toBe(200)
    await app.stop()
  })
})
