import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createStorage, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { createCustomer, createGateway } from '../support/customer.ts'
import { redisUrl } from '../support/services.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'

describe.runIf(inject('postgres') && inject('redis'))('two servers on one PostgreSQL and one Redis', () => {
  let storage: TestStorage
  let apps: [TestApp, TestApp]

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    const prefix = `latchkey-test-${randomUUID()}`
    const start = () => startApp({ storage, environment: { REDIS_URL: redisUrl, REDIS_PREFIX: prefix } })
    apps = [await start(), await start()]
  })
  afterAll(async () => {
    for (const app of apps) await app.stop()
    await storage.drop()
  })

  it('show on each what is counted and changed on the other', async () => {
    const [here, there] = apps
    const customer = await createCustomer(here, {})
    const { secret, apiKey } = await customer.addApiKey()
    const watcher = new LiveUsageWatcher(there, customer.token)
    await watcher.until(({ events }) => events.length === 1)
    const gateway = await createGateway(here)
    // A message may be lost until Redis has confirmed the subscription, so this sends several.
    while (watcher.events.length === 1) await gateway.meter(secret)
    const { apiKeyCalls } = await gateway.meter(secret)
    await watcher.until(({ counts }) => counts.get(apiKey.id) === apiKeyCalls)
    await customer.addApiKey()
    await watcher.until(({ counts }) => counts.size === 3)
    expect(watcher.events.at(-1)?.snapshot).toBe(true)
    await watcher.close()
  })
})
