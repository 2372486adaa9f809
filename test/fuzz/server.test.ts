import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { contentsOf, expectNothingInternal, post } from '../support/http.ts'
import { rawWebSocket } from '../support/websocket.ts'
import { answersIn, closeCodes, expectDefinedAnswer, expectDefinedErrors } from './support/answers.ts'
import { check, propertyTimeoutMs, seed } from './support/check.ts'
import { anyDocument, operationsWithVariables } from './support/documents.ts'
import { anyBytes } from './support/requests.ts'
import { anyInput, anyText, mutated } from './support/values.ts'

/** How long an answer to a client may take. */
const answerMs = 5_000

describe(`a server that is sent anything (FUZZ_SEED=${seed})`, () => {
  let app: TestApp
  let reader: string
  let tokens: string[]
  let before: Awaited<ReturnType<typeof contentsOf>>

  beforeAll(async () => {
    app = await startApp()
    const customer = await createCustomer(app, {})
    await customer.addApiKey()
    reader = await app.token({ account: customer.externalId, scopes: ['keys:read'] })
    tokens = [customer.token, reader, await app.token({ scopes: ['calls:meter'] })]
    before = await contentsOf(app)
  })
  afterAll(async () => {
    await app.stop()
  })

  /** Checks a property; afterwards the server must be healthy, and nothing stored may have changed. */
  async function checkServer<Value>(
    values: fc.Arbitrary<Value>,
    cases: number,
    holds: (value: Value) => Promise<void>,
  ): Promise<void> {
    await check(values, cases, holds)
    expect((await fetch(`${app.url}/health`)).status).toBe(200)
    expect(await contentsOf(app)).toEqual(before)
  }

  /** Sends bytes, ends the sending side, and resolves to what the server sent until it closed the connection. */
  async function exchange(bytes: string): Promise<string> {
    const { hostname, port } = new URL(app.url)
    const socket = connect(Number(port), hostname)
    const received: Buffer[] = []
    socket.on('data', (data) => received.push(data))
    socket.on('error', () => {})
    socket.end(bytes, 'latin1')
    const closed = once(socket, 'close')
    const late = setTimeout(() => socket.destroy(new Error('late')), answerMs)
    await closed
    clearTimeout(late)
    expect(socket.errored?.message).not.toBe('late')
    return Buffer.concat(received).toString()
  }

  it(
    'answers raw HTTP in a defined format, or closes the connection',
    () => {
      return checkServer(anyBytes, 250, async (sent) => {
        for (const answer of answersIn(await exchange(sent))) {
          const hasBody = answer.body !== '' && answer.status !== 101
          if (hasBody) expectDefinedAnswer(answer.status, answer.body)
        }
      })
    },
    propertyTimeoutMs,
  )

  it(
    'admits no token that it should not, and answers each the same way',
    () => {
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
      const header = fc.oneof(
        fc.record(
          { alg: fc.constantFrom<unknown>('HS256', 'none', 'RS256', 'HS512', '', null, 1), kid: anyInput },
          { requiredKeys: [] },
        ),
        anyInput,
      )
      const claim = fc.oneof(
        anyInput,
        fc.constantFrom<unknown>(0, 4_000_000_000, Number.MAX_VALUE, 'keys:read admin', 'customer'),
      )
      const payload = fc.oneof(
        fc.record(
          { sub: claim, scope: claim, exp: claim, nbf: claim, iat: claim, aud: claim },
          { requiredKeys: [] },
        ),
        anyInput,
      )
      const unsigned = fc.tuple(header, payload).map(([head, body]) => `${encode(head)}.${encode(body)}`)
      const forged = fc
        .tuple(unsigned, anyText)
        .map(([text, key]) => `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`)
      const genuine = fc
        .constantFrom(0, 1, 2)
        .chain((i) => mutated(tokens[i] ?? ''))
        .filter((token) => !tokens.includes(token.trim()))
      const token = fc.oneof(
        unsigned.map((text) => `${text}.`),
        forged,
        genuine,
        anyText,
      )
      const line = fc
        .tuple(fc.constantFrom('Bearer ', 'bearer ', 'Basic ', '', 'Bearer  '), token)
        .map((parts) => parts.join(''))
      // Node.js refuses to send other bytes in a header.
      const sendable = line.map((text) => text.replace(/[^\x20-\x7e]/g, '~').trim()).filter(Boolean)
      return checkServer(sendable, 250, async (authorization) => {
        const { status, text } = await post(app, { query: '{ viewer { subject } }' }, { authorization })
        expectDefinedAnswer(status, text)
        expect(status, authorization).toBe(401)
      })
    },
    propertyTimeoutMs,
  )

  it(
    'executes, or refuses in a defined format, any document',
    () =>
      checkServer(fc.tuple(anyDocument, anyInput, fc.boolean()), 150, async ([query, v, withToken]) => {
        const headers = withToken ? { authorization: `Bearer ${reader}` } : {}
        const { status, text, errors } = await post(app, { query, variables: { v } }, headers)
        expectDefinedAnswer(status, text)
        expectDefinedErrors(errors)
      }),
    propertyTimeoutMs,
  )

  it(
    'takes any variables, and refuses wrong ones in a defined format',
    () => {
      const variables = fc.record({ a: anyInput, b: anyInput, c: anyInput }, { requiredKeys: [] })
      const body = fc.record(
        {
          query: fc.constantFrom(...operationsWithVariables),
          variables: fc.oneof({ weight: 5, arbitrary: variables }, { weight: 1, arbitrary: anyInput }),
          operationName: fc.option(anyText),
          extensions: anyInput,
        },
        { requiredKeys: ['query', 'variables'] },
      )
      return checkServer(fc.tuple(body, fc.nat({ max: 2 })), 200, async ([sent, as]) => {
        const { status, text, errors } = await post(app, sent, { authorization: `Bearer ${tokens[as]}` })
        expectDefinedAnswer(status, text)
        expectDefinedErrors(errors)
      })
    },
    propertyTimeoutMs,
  )

  it(
    'answers any WebSocket messages in a defined format, or closes with a defined code',
    () => {
      const id = fc.oneof(fc.constantFrom<unknown>('1', '2', ''), anyInput)
      const payload = fc.oneof(
        fc.record({ query: anyDocument, variables: anyInput }, { requiredKeys: ['query'] }),
        anyInput,
      )
      const type = fc.constantFrom<unknown>(
        'connection_init',
        'subscribe',
        'complete',
        'ping',
        'pong',
        'next',
        'x',
        null,
      )
      const message = fc
        .record({ type, id, payload }, { requiredKeys: ['type'] })
        .map((value) => JSON.stringify(value))
      const frame = fc.oneof(
        { weight: 6, arbitrary: message },
        { weight: 1, arbitrary: message.chain(mutated) },
        { weight: 1, arbitrary: fc.oneof(anyText, fc.uint8Array({ maxLength: 20 })) },
      )
      const conversation = fc.tuple(fc.boolean(), fc.array(frame, { minLength: 1, maxLength: 6 }))
      return checkServer(conversation, 150, ([initialises, frames]) => converse(initialises, frames))
    },
    propertyTimeoutMs,
  )

  async function converse(initialises: boolean, frames: (string | Uint8Array)[]): Promise<void> {
    const socket = await rawWebSocket(app)
    const received: string[] = []
    const closed = once(socket, 'close')
    const answeredAll = new Promise<void>((resolve) =>
      socket.on('message', (data) => {
        received.push(String(data))
        if (String(data).includes('"the last"')) resolve()
      }),
    )
    const token = { type: 'connection_init', payload: { authorization: `Bearer ${reader}` } }
    if (initialises) socket.send(JSON.stringify(token))
    for (const frame of frames) socket.send(frame)
    socket.send(JSON.stringify({ type: 'ping', payload: { is: 'the last' } }))
    await Promise.race([answeredAll, closed])
    socket.close()
    const [code] = await closed
    expect(closeCodes).toContain(code)
    for (const text of received) {
      const { type, payload } = JSON.parse(text)
      expect(['connection_ack', 'next', 'error', 'complete', 'ping', 'pong']).toContain(type)
      if (type === 'error') expectDefinedErrors(payload)
      if (type === 'next') expectDefinedErrors(payload.errors)
      if (type !== 'pong') expectNothingInternal(text)
    }
  }

  it(
    'closes a WebSocket whose frames are not valid',
    () => {
      const frames = fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        // Masked text frames with random flags, opcodes and lengths.
        fc
          .tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 }), fc.uint8Array({ maxLength: 30 }))
          .map(([flags, length, rest]) => Uint8Array.of(flags, length, ...rest)),
      )
      return checkServer(frames, 100, async (bytes) => {
        const handshake = [
          'GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade',
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
        ].join('\r\n')
        const received = await exchange(handshake + Buffer.from(bytes).toString('latin1'))
        expect(received).toMatch(/^HTTP\/1\.1 101 /)
        expectNothingInternal(received)
      })
    },
    propertyTimeoutMs,
  )
})
