import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Principal } from '../../src/domain/principal.ts'
import { Admission } from '../../src/overload/admission.ts'
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

describe('an account whose operations fill the queue for the database', () => {
  const principalOf = (account?: string, ...scopes: string[]) => ({
    subject: account ?? 'a token without an account',
    scopes,
    ...(account ? { accountExternalId: account } : {}),
    expiresAt: new Date(8.64e15),
  })
  const greedy = principalOf('greedy')
  const modest = principalOf('modest')
  const operator = principalOf(undefined, 'admin')
  const gateway = principalOf(undefined, 'calls:meter')
  const maxOperations = 100
  function admissionWith() {
    const admission = new Admission({
      meter: { isFull: false },
      maxOperations,
    })
    /** Begins operations until they are refused, and at most `most`. Returns how many were admitted. */
    const fill = (principal: Principal, most = 1_000) => {
      let admitted = 0
      while (admitted < most && !admission.refusalFor(principal)) {
        admission.begin(principal)
        admitted++
      }
      return admitted
    }
    return { admission, fill }
  }

  it('may use all of it while no other account has operations', () => {
    expect(admissionWith().fill(greedy)).toBe(maxOperations)
  })

  it('is refused further ones, and other accounts and operators are not', () => {
    const { admission, fill } = admissionWith()
    fill(greedy)
    expect(fill(modest, 10)).toBe(10)
    expect(fill(operator, 10)).toBe(10)
    expect(admission.refusalFor(greedy)?.code).toBe('OVERLOADED')
  })

  it('leaves half of it to the others once they have operations', () => {
    const { fill } = admissionWith()
    fill(modest, 1)
    expect(fill(greedy)).toBe(maxOperations / 2 - 1)
  })

  it('is admitted again when its operations have ended, however often their end is reported', () => {
    const { admission, fill } = admissionWith()
    const end = admission.begin(greedy)
    fill(greedy)
    expect(admission.refusalFor(greedy)?.code).toBe('OVERLOADED')
    end()
    end()
    expect(fill(greedy)).toBe(1)
  })

  it('never makes the queue longer than twice MAX_WAITING_QUERIES, however many accounts there are', () => {
    const { fill } = admissionWith()
    let admitted = 0
    for (let i = 0; i < 1_000; i++) admitted += fill(principalOf(`account ${i}`), 1)
    expect(admitted).toBeLessThanOrEqual(2 * maxOperations)
  })

  it("refuses its own new connections, not another account's, nor a gateway's connections and calls", () => {
    const { admission, fill } = admissionWith()
    fill(greedy)
    const refused = [greedy, modest, gateway].map((principal) => admission.refusesConnectionOf(principal))
    expect(refused).toEqual([true, false, false])
    expect(admission.refusalFor(gateway)).toBeUndefined()
  })
})

describe('a server with more than MAX_WAITING_QUERIES queued statements', () => {
  it('refuses operations and WebSockets until the queue is drained, and still answers /health', async () => {
    const app = await startApp({ database: 'embedded', environment: { MAX_WAITING_QUERIES: '4' } })
    const customer = await createCustomer(app, {})
    const gateway = await app.token({ scopes: ['calls:meter'] })
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
      const gateways = await (await openRawConnection(app)).init(gateway)
      gateways.socket.terminate()
    })
    await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toContain(200)
    expect((await count()).status).toBe(200)
    await app.stop()
  })
})
