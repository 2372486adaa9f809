import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import WebSocket from 'ws'
import { customerScopes } from '../../../src/development.ts'
import { startApp, type TestApp } from '../../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../../support/customer.ts'
import { contentsOf, expectNothingInternal, expectRefusal, post } from '../../support/http.ts'
import { rawRequest } from '../../support/raw-request.ts'
import {
  closeOf,
  LiveUsageWatcher,
  liveUsageDocument,
  openRawConnection,
  rawWebSocket,
  webSocketClient,
} from '../../support/websocket.ts'

const viewer = '{ viewer { subject } }'
const nestedLists = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('graphql-transport-ws', () => {
  let app: TestApp
  let customer: Customer

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app, {})
  })
  afterAll(() => app.stop())

  it.each([
    ['without a key', { 'Sec-WebSocket-Version': '13' }],
    [
      'with an unknown version',
      { 'Sec-WebSocket-Version': '7', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' },
    ],
  ])('refuses a handshake %s in the format of every refusal', async (_, headers) => {
    const { status, body } = await rawRequest(app, {
      method: 'GET',
      headers: { ...headers, upgrade: 'websocket', connection: 'upgrade' },
      next: ' ',
    })
    expect(status).toBe(400)
    expectRefusal(JSON.parse(body), 'BAD_USER_INPUT')
  })

  it('closes a socket without a subprotocol with 4406, and accepts no unknown subprotocol', async () => {
    const socket = await rawWebSocket(app, { protocols: [] })
    expect((await closeOf(socket)).code).toBe(4406)
    await expect(rawWebSocket(app, { protocols: ['graphql-ws'] })).rejects.toThrow('no subprotocol')
  })

  it.each([
    [
      '4401: an operation before connection_init',
      4401,
      [{ type: 'subscribe', id: '1', payload: { query: viewer } }],
    ],
    ['4429: a second connection_init', 4429, [{ type: 'connection_init' }, { type: 'connection_init' }]],
    ['4400: a message that is not JSON', 4400, ['nonsense']],
    ['4400: a message without a type', 4400, [{ id: '1' }]],
    ['4400: a message of an unknown type', 4400, [{ type: 'start', id: '1' }]],
    ['4400: a message that only servers send', 4400, [{ type: 'connection_ack' }]],
    [
      '4400: an operation without an id',
      4400,
      [{ type: 'connection_init' }, { type: 'subscribe', payload: { query: viewer } }],
    ],
    [
      '4400: an operation without a query',
      4400,
      [{ type: 'connection_init' }, { type: 'subscribe', id: '1', payload: {} }],
    ],
    [
      '4403: an invalid token',
      4403,
      [{ type: 'connection_init', payload: { authorization: 'Bearer garbage' } }],
    ],
    [
      '4403: a token that is not a string',
      4403,
      [{ type: 'connection_init', payload: { authorization: 7 } }],
    ],
    [
      '4403: a token that cannot be converted to a string',
      4403,
      [{ type: 'connection_init', payload: { authorization: { toString: 1 } } }],
    ],
    [
      '4403: a token of deeply nested lists',
      4403,
      [`{"type":"connection_init","payload":{"authorization":${nestedLists(8_000)}}}`],
    ],
    ['1009: a frame of more than 1 MiB', 1009, ['x'.repeat(1_048_577)]],
    ['1009: a frame of more than 16 KiB before connection_init', 1009, ['x'.repeat(16_385)]],
    [
      '1009: a frame of more than 16 KiB after connection_init without a token',
      1009,
      [{ type: 'connection_init' }, 'x'.repeat(16_385)],
    ],
  ])('closes a socket with %s', async (_, code, messages) => {
    const connection = await openRawConnection(app)
    const closed = closeOf(connection.socket)
    for (const message of messages) connection.send(message)
    expect((await closed).code).toBe(code)
  })

  it.each([
    ['4400: a ping whose payload cannot be sent back', 4400, `{"lists":${nestedLists(15_000)}}`],
    ['1009: a frame of more than 1 MiB', 1009, `{"x":"${'x'.repeat(1_048_577)}"}`],
  ])('closes an authenticated socket with %s', async (_, code, payload) => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    const closed = closeOf(connection.socket)
    connection.send(`{"type":"ping","payload":${payload}}`)
    expect((await closed).code).toBe(code)
  })

  it.each([
    ['an id', 'one'],
    ['an id longer than a close reason may be', 'x'.repeat(200)],
    ['an id with more bytes than a close reason may have', '€'.repeat(60)],
  ])('closes a socket with 4409: %s that is in use', async (_, id) => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    const closed = closeOf(connection.socket)
    for (let i = 0; i < 2; i++)
      connection.send({ type: 'subscribe', id, payload: { query: liveUsageDocument } })
    expect((await closed).code).toBe(4409)
  })

  it('returns the payload of a ping in the pong', async () => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    for (const payload of [undefined, { sent: 'now' }]) {
      connection.send({ type: 'ping', payload })
      expect(await connection.next()).toEqual({ type: 'pong', ...(payload ? { payload } : {}) })
    }
    connection.socket.terminate()
  })

  it.each(['/', '/graphql/', '/health', '//'])('is not served at %s', async (path) => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}${path}`, 'graphql-transport-ws')
    const [error] = await once(socket, 'error')
    expect(error.message).toBe('Unexpected server response: 404')
  })

  it('carries queries, mutations and subscriptions', async () => {
    const client = webSocketClient(app, customer.token)
    const [query] = await client
      .iterate({ query: viewer })
      [Symbol.asyncIterator]()
      .next()
      .then(({ value }) => [value])
    expect(query).toEqual({ data: { viewer: { subject: 'tester' } } })
    const added: unknown[] = []
    for await (const { data } of client.iterate({
      query: 'mutation { addApiKey(input: { note: "by socket" }) { __typename } }',
    }))
      added.push(data)
    expect(added).toEqual([{ addApiKey: { __typename: 'AddApiKeyPayload' } }])
    await client.dispose()
    const watcher = new LiveUsageWatcher(app, customer.token)
    await watcher.until(({ events }) => events.length > 0)
    const { apiKey, secret } = await customer.addApiKey()
    await (await createGateway(app)).meter(secret)
    await watcher.until(({ counts }) => counts.get(apiKey.id) === 1)
    expect(watcher.events[0]?.snapshot).toBe(true)
    await watcher.close()
  })

  it('accepts the token as Authorization, too', async () => {
    const connection = await openRawConnection(app)
    connection.send({ type: 'connection_init', payload: { Authorization: `Bearer ${customer.token}` } })
    expect((await connection.next())?.type).toBe('connection_ack')
    connection.socket.close()
  })

  it('answers pings and concurrent operations', async () => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    connection.send({ type: 'ping' })
    expect(await connection.next()).toEqual({ type: 'pong' })
    for (const id of ['a', 'b']) connection.send({ type: 'subscribe', id, payload: { query: viewer } })
    const messages = await Promise.all(Array.from({ length: 4 }, () => connection.next()))
    expect(messages.map((message) => `${message?.id} ${message?.type}`).sort()).toEqual([
      'a complete',
      'a next',
      'b complete',
      'b next',
    ])
    connection.socket.close()
  })

  const page = 'account { apiKeys(first: 0) { totalCount } }'
  const refused: [string, { query: string; variables?: object; operationName?: string }, string[] | null][] =
    [
      ['a syntax error', { query: '{ viewer' }, customerScopes as string[]],
      ['an unknown field', { query: '{ nonsense }' }, customerScopes as string[]],
      ['a bad argument', { query: `{ ${page} }` }, customerScopes as string[]],
      [
        'a bad variable',
        { query: 'query ($m: Month) { account { usage(month: $m) { calls } } }', variables: { m: 'x' } },
        customerScopes as string[],
      ],
      ['an unknown operationName', { query: viewer, operationName: 'Other' }, customerScopes as string[]],
      [
        'a document without an operation',
        { query: 'fragment A on Query { viewer { subject } }' },
        customerScopes as string[],
      ],
      ['a fragment cycle', { query: '{ ...A } fragment A on Query { ...A }' }, customerScopes as string[]],
      [
        'an operation too deep',
        { query: `{ ${'account { apiKeys { nodes { '.repeat(5)} id ${'}}}'.repeat(5)} }` },
        customerScopes as string[],
      ],
      [
        'an operation too long',
        { query: `{ ${'viewer { subject } '.repeat(4_000)} }` },
        customerScopes as string[],
      ],
      [
        'an operation too deep to be parsed',
        { query: `${'{ account '.repeat(4_900)} id ${'}'.repeat(4_900)}` },
        [],
      ],
      ['no token', { query: viewer }, null],
      ['no token for a subscription', { query: liveUsageDocument }, null],
      ['a missing scope', { query: '{ plans { id } }' }, ['calls:meter']],
      ['a missing scope for a subscription', { query: liveUsageDocument }, ['calls:meter']],
      [
        'an account outside the tenant scope',
        { query: liveUsageDocument, variables: { accountId: 'garbage' } },
        customerScopes as string[],
      ],
      [
        'more keys than can be watched',
        { query: liveUsageDocument, variables: { apiKeyIds: Array(1_001).fill('x') } },
        customerScopes as string[],
      ],
    ]

  const extensionsIn = (errors: unknown) =>
    (errors as { message: string; extensions: object }[]).map(({ extensions }) => extensions)

  it.each(refused)('refuses with the same codes and issues as HTTP: %s', async (_, payload, scopes) => {
    const token = scopes
      ? await app.token({ scopes: scopes as never, account: customer.externalId })
      : undefined
    const overHttp = await post(app, payload, {
      accept: payload.query === liveUsageDocument ? 'text/event-stream' : 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    })
    const httpErrors = overHttp.errors ?? JSON.parse(/^data: (.+)$/m.exec(overHttp.text)?.[1] ?? '{}').errors
    const connection = await (await openRawConnection(app)).init(token)
    connection.send({ type: 'subscribe', id: '1', payload })
    const message = await connection.next()
    const errors =
      message?.type === 'error'
        ? message.payload
        : (message?.payload as { errors?: unknown } | undefined)?.errors
    expect(extensionsIn(errors)).toEqual(extensionsIn(httpErrors))
    expectNothingInternal(JSON.stringify(message))
    connection.send({ type: 'subscribe', id: '2', payload: { query: '{ __typename }' } })
    let next = await connection.next()
    while (next?.id === '1') next = await connection.next()
    expect(next).toMatchObject({ type: 'next', id: '2', payload: { data: { __typename: 'Query' } } })
    connection.socket.close()
  })

  it('ends a subscription on the server when the client completes it, disconnects, or closes the socket', async () => {
    const watch = vi.spyOn(app.services.liveUsage, 'watch')
    const endings = [
      (connection: Awaited<ReturnType<typeof openRawConnection>>) =>
        connection.send({ type: 'complete', id: '1' }),
      (connection: Awaited<ReturnType<typeof openRawConnection>>) => connection.socket.terminate(),
      (connection: Awaited<ReturnType<typeof openRawConnection>>) => connection.socket.close(),
    ]
    for (const [index, end] of endings.entries()) {
      const connection = await (await openRawConnection(app)).init(customer.token)
      connection.send({ type: 'subscribe', id: '1', payload: { query: liveUsageDocument } })
      expect((await connection.next())?.type).toBe('next')
      end(connection)
      const subscription = watch.mock.results[index]?.value as AsyncIterator<unknown>
      // If the subscription were still open, this would wait forever, because nothing is metered.
      expect(await subscription.next()).toMatchObject({ done: true })
      connection.socket.close()
    }
    watch.mockRestore()
  })

  it('closes a socket with 4403 when its token expires, and the client reconnects with a fresh one', async () => {
    const claims = { account: customer.externalId, scopes: customerScopes }
    const tokens = [await app.token({ ...claims, lifetime: '1h' }), await app.token(claims)]
    const closings: unknown[] = []
    const watcher = new LiveUsageWatcher(
      app,
      '',
      {},
      {
        connectionParams: () => ({ authorization: `Bearer ${tokens.shift()}` }),
        retryAttempts: 3,
        retryWait: async () => {},
        on: { closed: (event) => closings.push((event as { code: number }).code) },
      },
    )
    await watcher.until(({ events }) => events.length === 1)
    app.clock.set(new Date(Date.now() + 2 * 3_600_000))
    await watcher.until(({ events }) => events.length === 2)
    expect(watcher.events.map(({ snapshot }) => snapshot)).toEqual([true, true])
    expect([closings, watcher.errors, tokens]).toEqual([[4403], [], []])
    await watcher.close()
    app.clock.set(new Date())
  })

  it('accepts a connection without a token, but refuses its operations as UNAUTHENTICATED', async () => {
    const before = await contentsOf(app)
    const connection = await (await openRawConnection(app)).init()
    connection.send({ type: 'subscribe', id: '1', payload: { query: liveUsageDocument } })
    expect(await connection.next()).toMatchObject({
      id: '1',
      payload: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    })
    connection.socket.close()
    expect(await contentsOf(app)).toEqual(before)
  })
})

describe('a stopping server', () => {
  it('closes its sockets with 1001, and does not wait for clients that do not answer', async () => {
    const app = await startApp()
    const { token } = await createCustomer(app)
    const idle = await openRawConnection(app)
    const subscribed = await (await openRawConnection(app)).init(token)
    subscribed.send({ type: 'subscribe', id: '1', payload: { query: liveUsageDocument } })
    expect((await subscribed.next())?.type).toBe('next')
    const { hostname, port } = new URL(app.url)
    const mute = connect(Number(port), hostname)
    mute.write(
      'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
        'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
    )
    await once(mute, 'data')
    const closed = [idle, subscribed].map(({ socket }) => closeOf(socket))
    const muted = once(
      mute.on('error', () => {}),
      'close',
    )
    await app.stop()
    expect((await Promise.all(closed)).map(({ code }) => code)).toEqual([1001, 1001])
    await muted
    await app.stop()
  })
})
