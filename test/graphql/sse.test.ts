import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createClient } from 'graphql-sse'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import { eventsOf } from '../support/event-stream.ts'
import { answerOf, expectRefusal } from '../support/http.ts'
import { MeterApiCalls } from '../support/operations.ts'
import { redisUrl } from '../support/services.ts'
import { type LiveUsageEvent, LiveUsageWatcher, liveUsageDocument } from '../support/websocket.ts'

/** For conditions that become true in a moment, or later on a slow machine. */
const patiently = { timeout: 10_000, interval: 20 }

function subscribe(app: { url: string }, token: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ query: liveUsageDocument }),
    ...(signal ? { signal } : {}),
  })
}

/** The counts in the next event. */
async function nextUsage(events: ReturnType<typeof eventsOf>): Promise<LiveUsageEvent> {
  const { value } = await events.next()
  expect(value?.event).toBe('next')
  return JSON.parse(value?.data ?? '').data.liveUsage
}

describe('a subscription over SSE', () => {
  let app: TestApp
  let customer: Customer
  let gateway: Awaited<ReturnType<typeof createGateway>>

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app, {})
    gateway = await createGateway(app)
  })
  afterAll(() => app.stop())

  it('starts with a snapshot and continues with changes', async () => {
    const { secret, apiKey } = await customer.addApiKey()
    const response = await subscribe(app, customer.token)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const events = eventsOf(response)
    expect(await nextUsage(events)).toMatchObject({ snapshot: true, apiKeys: { length: 2 } })
    await gateway.meter(secret)
    expect(await nextUsage(events)).toMatchObject({
      snapshot: false,
      apiKeys: [{ apiKeyId: apiKey.id, calls: 1 }],
    })
    await events.return(undefined)
  })

  it('works with graphql-sse, the reference client', async () => {
    const client = createClient({
      url: `${app.url}/graphql`,
      headers: { authorization: `Bearer ${customer.token}` },
      retryAttempts: 0,
    })
    const results = client.iterate<{ liveUsage: LiveUsageEvent }>({ query: liveUsageDocument })
    const { value } = await results.next()
    expect(value?.data?.liveUsage.snapshot).toBe(true)
    client.dispose()
  })

  it('is refused with 401 for a bad token', async () => {
    const response = await subscribe(app, 'garbage')
    expect(response.status).toBe(401)
    expectRefusal(await answerOf(response), 'UNAUTHENTICATED')
  })

  it('sends UNAUTHENTICATED and ends when its token expires', async () => {
    const claims = { account: customer.externalId, scopes: customerScopes, lifetime: '1h' }
    const events = eventsOf(await subscribe(app, await app.token(claims)))
    await nextUsage(events)
    app.clock.set(new Date(Date.now() + 2 * 3_600_000))
    const { value } = await events.next()
    expectRefusal(JSON.parse(value?.data ?? ''), 'UNAUTHENTICATED')
    expect((await events.next()).value).toEqual({ event: 'complete', data: '' })
    expect((await events.next()).done).toBe(true)
    app.clock.set(new Date())
  })
})

describe.runIf(inject('redis'))('a server whose last subscriber of an account has left', () => {
  const prefix = `latchkey-test-${randomUUID()}`
  let app: TestApp
  let customer: Customer
  let redis: Redis
  let idle: string[]

  /** The channels that the server is subscribed to: one per watched account, and one for all accounts. */
  const channels = async () => (await redis.pubsub('CHANNELS', `${prefix}:*`)).toSorted() as string[]

  beforeAll(async () => {
    redis = new Redis(redisUrl)
    app = await startApp({ environment: { REDIS_URL: redisUrl, REDIS_PREFIX: prefix } })
    customer = await createCustomer(app, {})
    idle = await channels()
  })
  afterAll(async () => {
    await app.stop()
    redis.disconnect()
  })

  type End = (of: { app: TestApp; hangUp: () => void; rest: () => Promise<unknown> }) => Promise<void>
  const ends: [string, End][] = [
    ['the client disconnected', async ({ hangUp }) => hangUp()],
    [
      'the token expired',
      async ({ rest }) => {
        app.clock.set(new Date(Date.now() + 2 * 3_600_000))
        await rest()
        app.clock.set(new Date())
      },
    ],
  ]

  it.each(ends)('unsubscribes from that account: %s', async (_, end) => {
    const claims = { account: customer.externalId, scopes: customerScopes, lifetime: '1h' }
    const client = new AbortController()
    const events = eventsOf(await subscribe(app, await app.token(claims), client.signal))
    await nextUsage(events)
    await expect.poll(channels, patiently).toHaveLength(idle.length + 1)
    const rest = async () => {
      for (let over = false; !over; ) over = (await events.next()).done === true
    }
    await end({ app, hangUp: () => client.abort(), rest })
    await expect.poll(channels, patiently).toEqual(idle)
  })
})

describe('a stalled reader of an event stream', () => {
  const keys = 100
  const rounds = 150
  /** Makes each event as large as its cost allows, so that few of them fill the buffers of the operating system. */
  const aliases = 4

  it('receives the newest counts when it reads again, instead of every event it missed', async () => {
    const app = await startApp()
    const customer = await createCustomer(app, { maxApiKeys: keys + 1 })
    const { token: as } = await createGateway(app)
    const added = await Promise.all(Array.from({ length: keys }, () => customer.addApiKey()))
    const calls = added.map(({ secret }) => ({ secret, apiCall: 'v3.ping' }))
    const fields = Array.from(
      { length: aliases },
      (_, index) => `a${index}: apiKeys { apiKeyId month calls lastCallAt }`,
    )
    const body = JSON.stringify({
      query: `subscription { liveUsage { account { calls } ${fields.join(' ')} } }`,
    })
    const socket = open(app)
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n` +
        `Authorization: Bearer ${customer.token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    await once(socket, 'data')
    socket.pause()

    const reading = new LiveUsageWatcher(app, customer.token)
    for (let round = 1; round <= rounds; round++) {
      await app.query(MeterApiCalls, { as, variables: { calls } })
      await reading.until(({ events }) => events.at(-1)?.account.calls === round * keys, 10_000)
    }
    await reading.close()

    const seen: number[] = []
    let unread = ''
    for await (const text of socket) {
      unread += text
      for (const [, count] of unread.matchAll(/"account":\{"calls":(\d+)\}/g)) seen.push(Number(count))
      unread = unread.slice(unread.lastIndexOf('"account"') + 1)
      if (seen.at(-1) === rounds * keys) break
    }
    expect(seen.at(-1)).toBe(rounds * keys)
    expect(seen.length).toBeLessThan(rounds * 0.75)
    await app.stop()
  })
})

describe('a stopping server', () => {
  it.each(['text/event-stream', '*/*'])('ends its event streams at once: Accept: %s', async (accept) => {
    // A stream that the server does not end itself is cut off after most of this time.
    const shutdownTimeoutMs = 60_000
    const app = await startApp({ environment: { SHUTDOWN_TIMEOUT_MS: String(shutdownTimeoutMs) } })
    const { token } = await createCustomer(app)
    const response = await fetch(`${app.url}/graphql?query=${encodeURIComponent(liveUsageDocument)}`, {
      headers: { accept, authorization: `Bearer ${token}` },
    })
    const events = eventsOf(response)
    expect((await events.next()).value?.event).toBe('next')
    const startedAt = performance.now()
    const stopped = app.stop()
    await expect(events.next()).rejects.toThrow()
    await stopped
    expect(performance.now() - startedAt).toBeLessThan(shutdownTimeoutMs / 6)
  })
})

function open(app: { url: string }): Socket {
  const { hostname, port } = new URL(app.url)
  return connect(Number(port), hostname).setEncoding('utf8')
}
