import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LiveUsageEvent } from '../../src/domain/live-usage/count-list.ts'
import { keyOfEvent } from '../../src/schema/event-keys.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import { RemoveApiKey } from '../support/operations.ts'
import { webSocketClient } from '../support/websocket.ts'

/** An event of the current counts, of these keys. */
function eventOf(ids: readonly string[], shared = new Map<string, unknown>()): LiveUsageEvent {
  return {
    ...{ month: '2026-11', snapshot: true, complete: true, account: { calls: 0, quota: null }, shared },
    apiKeys: ids.map((apiKeyId) => ({ apiKeyId, calls: 0, lastCallAt: null, limit: null })),
  }
}

describe('the keys of live events', () => {
  it('are read once for all subscribers that ask for the same, and only those that were not read yet', async () => {
    const reads: string[][] = []
    const read = async (ids: string[]) => {
      reads.push(ids)
      return ids.map((id) => ({ id, note: id.toUpperCase() }))
    }
    const event = eventOf(['a', 'b'])
    const keys = await Promise.all(['a', 'b', 'a'].map((id) => keyOfEvent(event, id, 'notes', read)))
    expect(keys.map((key) => key?.note)).toEqual(['A', 'B', 'A'])
    await keyOfEvent(eventOf(['b', 'c'], event.shared), 'c', 'notes', read)
    expect(reads).toEqual([['a', 'b'], ['c']])
    await keyOfEvent(event, 'a', 'something else', read)
    expect(reads).toHaveLength(3)
  })

  it('are read again after a read has failed', async () => {
    const event = eventOf(['a'])
    const fails = async () => {
      throw new Error('The database is gone.')
    }
    await expect(keyOfEvent(event, 'a', 'notes', fails)).rejects.toThrow('The database is gone.')
    expect(await keyOfEvent(event, 'a', 'notes', async () => [{ id: 'a' }])).toEqual({ id: 'a' })
  })

  it('are undefined if there are none', async () => {
    expect(await keyOfEvent(eventOf(['a']), 'a', 'notes', async () => [])).toBeUndefined()
  })
})

interface Event {
  liveUsage: { apiKeys: { calls: number; apiKey: { note: string | null; start: string } }[] }
}

describe('subscribers of an account that select its keys', () => {
  let app: TestApp
  let customer: Customer

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app)
  })
  afterAll(() => app.stop())

  function subscribe(token: string, accountId?: string) {
    const client = webSocketClient(app, token)
    const query = `subscription ($accountId: ID) {
      liveUsage(accountId: $accountId) { apiKeys { calls apiKey { note start } } }
    }`
    const events = client.iterate<Event>({ query, variables: { accountId } })
    return {
      client,
      async next() {
        const { value } = await events.next()
        expect(value?.errors).toBeUndefined()
        return value?.data?.liveUsage.apiKeys ?? []
      },
    }
  }

  it('see them as they are, be they customers or operators, and when a key is removed', async () => {
    const { apiKey, secret } = await customer.addApiKey({ note: 'mine' })
    const { id: accountId } = await customer.account()
    const operator = await app.token({ scopes: ['admin'] })
    const subscribers = [subscribe(customer.token), subscribe(operator, accountId), subscribe(customer.token)]
    for (const { next } of subscribers)
      expect(await next()).toContainEqual({ calls: 0, apiKey: { note: 'mine', start: apiKey.start } })
    const gateway = await createGateway(app)
    await gateway.meter(secret)
    for (const { next } of subscribers)
      expect(await next()).toEqual([{ calls: 1, apiKey: { note: 'mine', start: apiKey.start } }])
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
    for (const { next } of subscribers) expect(await next()).toHaveLength(1)
    for (const { client } of subscribers) await client.dispose()
  })
})
