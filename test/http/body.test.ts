import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fixedLimits, operationLimits } from '../../src/limits.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { expectRefusal, post } from '../support/http.ts'
import { openRawConnection } from '../support/websocket.ts'

const largestBody = 1_048_576

describe('a request body in production', () => {
  let app: TestApp
  let customer: string
  let gateway: string
  let opened: Socket[] = []

  beforeAll(async () => {
    app = await startApp({ environment: { NODE_ENV: 'production' } })
    customer = `Bearer ${(await createCustomer(app, {})).token}`
    gateway = `Bearer ${await app.token({ scopes: ['calls:meter'] })}`
  })
  afterAll(() => app.stop())
  afterEach(async () => {
    await Promise.all(opened.map((socket) => (socket.closed ? undefined : once(socket.destroy(), 'close'))))
    opened = []
  })

  /** Sends a request of the largest size but for its last byte. */
  async function hold(authorization: string): Promise<Socket> {
    const { hostname, port } = new URL(app.url)
    const socket = connect(Number(port), hostname)
      .setEncoding('utf8')
      .on('error', () => {})
    opened.push(socket)
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${largestBody}\r\n${authorization && `Authorization: ${authorization}\r\n`}\r\n`,
    )
    await new Promise((resolve) => socket.write(Buffer.alloc(largestBody - 1, ' '), resolve))
    return socket
  }

  const viewer = { query: '{ viewer { subject } }', variables: { filler: 'x'.repeat(100_000) } }
  const statusFor = async (authorization: string) => (await post(app, viewer, { authorization })).status

  it('takes no memory from others while its token is not valid or missing, and is answered with 401', async () => {
    for (const authorization of ['', 'Bearer garbage']) {
      const sockets: Socket[] = []
      // More than all bodies together may hold.
      for (let i = 0; i < 70; i++) sockets.push(await hold(authorization))
      expect(await statusFor(customer)).toBe(200)
      const [first] = sockets
      first?.write(' ')
      const [answer] = await once(first as Socket, 'data')
      expect(answer).toContain('HTTP/1.1 401 ')
      expectRefusal(JSON.parse(String(answer).split('\r\n\r\n')[1] ?? ''), 'UNAUTHENTICATED')
    }
  })

  it('with a customer’s token leaves the share of memory that is reserved for metering', async () => {
    for (let i = 0; i < 70; i++) await hold(customer)
    await expect.poll(() => statusFor(customer), { timeout: 10_000, interval: 20 }).toBe(503)
    expect(await statusFor(gateway)).toBe(200)
  })

  it('is released when its client disconnects', async () => {
    await expect.poll(() => statusFor(customer), { timeout: 10_000, interval: 20 }).toBe(200)
  })

  it('without a token is not parsed', async () => {
    for (const body of ['{"query":', { query: '{ broken' }, { query: '{ __typename }' }]) {
      const answer = await post(app, body)
      expect(answer.status).toBe(401)
      expectRefusal(answer, 'UNAUTHENTICATED')
    }
    const connection = await (await openRawConnection(app)).init()
    connection.send({ type: 'subscribe', id: '1', payload: { query: '{ broken' } })
    expect(await connection.next()).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'UNAUTHENTICATED' } }],
    })
    connection.socket.close()
  })
})

describe('a document without a token, where GraphiQL is on', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ environment: { GRAPHIQL: 'on' } })
  })
  afterAll(() => app.stop())

  const { anonymousTokens } = operationLimits
  const ofTokens = (count: number) => `{ ${'__typename '.repeat(count - 2)}}`

  it('has at most 1,000 tokens; with a token, 10,000', async () => {
    // As many fields are too many, but that is found out by validating the document.
    expect((await post(app, { query: ofTokens(anonymousTokens) })).text).not.toContain('tokens')
    const longer = { query: ofTokens(anonymousTokens + 1) }
    const refused = await post(app, longer)
    expectRefusal(refused, 'QUERY_TOO_COMPLEX')
    expect(refused.text).toContain('more than 1000 tokens')
    const connection = await (await openRawConnection(app)).init()
    connection.send({ type: 'subscribe', id: '1', payload: longer })
    expect(await connection.next()).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'QUERY_TOO_COMPLEX' } }],
    })
    connection.socket.close()
    const { token } = await createCustomer(app, {})
    const answer = await post(app, longer, { authorization: `Bearer ${token}` })
    expect(answer.text).not.toContain('tokens')
  })

  it('has a body of at most 16 KiB; with a token, MAX_BODY_BYTES', async () => {
    const query = '{ __typename }'
    const ofBytes = (bytes: number) => query + ' '.repeat(bytes - JSON.stringify({ query }).length)
    const { strangersMessageBytes } = fixedLimits
    expect((await post(app, { query: ofBytes(strangersMessageBytes) })).status).toBe(200)
    const longer = { query: ofBytes(strangersMessageBytes + 1) }
    expect((await post(app, longer)).status).toBe(413)
    const { token } = await createCustomer(app, {})
    expect((await post(app, longer, { authorization: `Bearer ${token}` })).status).toBe(200)
  })

  it('may ask for the whole schema', async () => {
    const { getIntrospectionQuery } = await import('graphql')
    const answer = await post(app, { query: getIntrospectionQuery({ inputValueDeprecation: true }) })
    expect(answer.data).toHaveProperty('__schema')
  })
})

describe('a server with as many requests in flight as it may have', () => {
  it('refuses customers and strangers, and still meters', async () => {
    const app = await startApp({ environment: { MAX_REQUESTS: '3' } })
    const { token } = await createCustomer(app, {})
    const gateway = await app.token({ scopes: ['calls:meter'] })
    const { hostname, port } = new URL(app.url)
    const held = Array.from({ length: 3 }, () => {
      const socket = connect(Number(port), hostname)
      socket.write('POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n')
      return socket
    })
    const body = { query: '{ viewer { subject } }' }
    const statusFor = async (headers: Record<string, string>) => (await post(app, body, headers)).status
    const authorization = `Bearer ${token}`
    await expect.poll(() => statusFor({ authorization }), { timeout: 10_000, interval: 20 }).toBe(503)
    expect(await statusFor({})).toBe(503)
    expect(await statusFor({ authorization: `Bearer ${gateway}` })).toBe(200)
    for (const socket of held) socket.destroy()
    await app.stop()
  })
})
