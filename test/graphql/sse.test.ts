import { Server } from 'node:http'
import { createClient } from 'graphql-sse'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import { eventsOf } from '../support/event-stream.ts'
import { answerOf, expectRefusal } from '../support/http.ts'
import { type LiveUsageEvent, liveUsageDocument } from '../support/websocket.ts'

describe('a subscription over SSE', () => {
  let app: TestApp
  let customer: Customer
  let gateway: Awaited<ReturnType<typeof createGateway>>
  const hangUp = new AbortController()

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app, {})
    gateway = await createGateway(app)
  })
  afterAll(async () => {
    hangUp.abort()
    await app.stop()
  })

  const subscribe = (token: string, signal = hangUp.signal) =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${token}`,
      },
      body: JSON.stringify({ query: liveUsageDocument }),
      signal,
    })

  /** The counts in the next event. */
  async function nextUsage(events: ReturnType<typeof eventsOf>): Promise<LiveUsageEvent> {
    const { value } = await events.next()
    expect(value?.event).toBe('next')
    return JSON.parse(value?.data ?? '').data.liveUsage
  }

  it('starts with a snapshot and continues with changes', async () => {
    const { secret, apiKey } = await customer.addApiKey()
    const response = await subscribe(customer.token)
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

  it('works with the client of graphql-sse', async () => {
    const client = createClient({
      url: `${app.url}/graphql`,
      headers: { authorization: `Bearer ${customer.token}` },
      retryAttempts: 0,
    })
    for await (const { data } of client.iterate<{ liveUsage: LiveUsageEvent }>({
      query: liveUsageDocument,
    })) {
      expect(data?.liveUsage.snapshot).toBe(true)
      break
    }
    client.dispose()
  })

  it('is refused with 401 for a bad token', async () => {
    const response = await subscribe('garbage')
    expect(response.status).toBe(401)
    expectRefusal(await answerOf(response), 'UNAUTHENTICATED')
  })

  it('ends with UNAUTHENTICATED when its token expires', async () => {
    const claims = { account: customer.externalId, scopes: customerScopes, lifetime: '1h' }
    const events = eventsOf(await subscribe(await app.token(claims)))
    await nextUsage(events)
    app.clock.set(new Date(Date.now() + 2 * 3_600_000))
    const { value } = await events.next()
    expectRefusal(JSON.parse(value?.data ?? ''), 'UNAUTHENTICATED')
    expect((await events.next()).value).toEqual({ event: 'complete', data: '' })
    expect((await events.next()).done).toBe(true)
    app.clock.set(new Date())
  })

  it('is ended on the server when the client disconnects', async () => {
    const watch = vi.spyOn(app.services.liveUsage, 'watch')
    const client = new AbortController()
    await nextUsage(eventsOf(await subscribe(customer.token, client.signal)))
    client.abort()
    const subscription = watch.mock.results[0]?.value as AsyncIterator<unknown>
    // If the subscription were still open, this would wait forever, because nothing is metered.
    expect(await subscription.next()).toMatchObject({ done: true })
    watch.mockRestore()
  })
})

describe('a stopping server', () => {
  it.each(['text/event-stream', '*/*'])(
    'ends event streams without waiting for the deadline: Accept: %s',
    async (accept) => {
      const app = await startApp()
      const { token } = await createCustomer(app)
      const response = await fetch(`${app.url}/graphql?query=${encodeURIComponent(liveUsageDocument)}`, {
        headers: { accept, authorization: `Bearer ${token}` },
      })
      const events = eventsOf(response)
      expect((await events.next()).value?.event).toBe('next')
      // A stream that is not ended is cut off after the time that slow clients get.
      const cut = vi.spyOn(Server.prototype, 'closeAllConnections')
      await app.stop()
      await expect(events.next()).rejects.toThrow()
      expect(cut).not.toHaveBeenCalled()
      cut.mockRestore()
    },
  )
})
