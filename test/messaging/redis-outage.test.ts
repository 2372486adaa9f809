import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { createSystemClock } from '../../src/clock.ts'
import { accountTopic, everyAccountTopic, type UsageMessage } from '../../src/domain/live-usage/event-bus.ts'
import { LiveUsage } from '../../src/domain/live-usage/live-usage.ts'
import { RedisEventBus } from '../../src/messaging/redis-event-bus.ts'
import { Network } from '../support/network.ts'
import { redisUrl } from '../support/services.ts'

let topics = 0

describe.runIf(inject('redis'))('the event bus while Redis is away', () => {
  let network: Network
  let away: RedisEventBus
  let near: RedisEventBus
  let topic: string
  let received: UsageMessage[]
  const counted = (calls: number): UsageMessage => ({
    kind: 'counted',
    month: '2026-11',
    account: { calls, quota: null },
    apiKeys: [],
  })
  const last = () => received.at(-1)

  /** Publishes until something arrives: connections and subscriptions may not be ready yet. */
  async function arrives(from: RedisEventBus, message: UsageMessage): Promise<void> {
    await vi.waitFor(
      () => {
        from.publish(topic, message)
        expect(last()).toEqual(message)
      },
      { timeout: 10_000, interval: 50 },
    )
  }

  beforeEach(async () => {
    topic = accountTopic(`outage-${process.pid}-${++topics}`)
    received = []
    network = await Network.to(Number(new URL(redisUrl).port || 6379))
    const prefix = `latchkey-test-${randomUUID()}`
    away = new RedisEventBus({ url: `redis://127.0.0.1:${network.port}`, prefix, onError: () => {} })
    near = new RedisEventBus({ url: redisUrl, prefix, onError: () => {} })
  })
  afterEach(async () => {
    away.close()
    near.close()
    await network.cut()
  })

  it('tells a listener that counts are in doubt once its topic is subscribed to', async () => {
    away.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => expect(last()).toEqual({ kind: 'in doubt' }), { timeout: 10_000 })
    away.subscribe(`${topic}-2`, (message) => received.push(message))
    await vi.waitFor(() => expect(received).toHaveLength(2), { timeout: 10_000 })
  })

  it('tells a listener that counts are in doubt when Redis is back, and goes on', async () => {
    away.subscribe(topic, (message) => received.push(message))
    await arrives(near, counted(1))
    await network.cut()
    near.publish(topic, counted(2))
    received.length = 0
    await network.mend()
    await vi.waitFor(() => expect(received).toContainEqual({ kind: 'in doubt' }), { timeout: 10_000 })
    await arrives(near, counted(3))
    expect(received).not.toContainEqual(counted(2))
  })

  it('drops what is published meanwhile, and tells the other servers when Redis is back', async () => {
    near.subscribe(topic, (message) => received.push(message))
    await arrives(away, counted(1))
    const everyAccount: UsageMessage[] = []
    near.subscribe(everyAccountTopic, (message) => everyAccount.push(message))
    await vi.waitFor(() => expect(everyAccount).toHaveLength(1))
    await network.cut()
    received.length = 0
    const before = process.memoryUsage().heapUsed
    for (let calls = 2; calls < 50_000; calls++) away.publish(topic, counted(calls))
    await network.mend()
    await vi.waitFor(() => expect(everyAccount.length).toBeGreaterThan(1), { timeout: 10_000 })
    await arrives(away, counted(50_000))
    expect(
      received.filter((message) => message.kind === 'counted' && message.account.calls < 50_000),
    ).toEqual([])
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
  })

  it('bounds what a frozen Redis has not acknowledged, and tells the other servers when it thaws', async () => {
    near.subscribe(everyAccountTopic, (message) => received.push(message))
    near.subscribe(topic, (message) => received.push(message))
    await arrives(away, counted(1))
    network.freeze()
    received.length = 0
    for (let calls = 2; calls < 200_000; calls++) away.publish(topic, counted(calls))
    network.thaw()
    await vi.waitFor(() => expect(received).toContainEqual({ kind: 'in doubt' }), { timeout: 10_000 })
    expect(received.length).toBeLessThan(6_000)
    await arrives(away, counted(200_000))
  })

  it('tells listeners to every account every few seconds, for as long as it is away, that counts are in doubt', async () => {
    const toldAtMs: number[] = []
    away.subscribe(everyAccountTopic, () => toldAtMs.push(performance.now()))
    await vi.waitFor(() => expect(toldAtMs.length).toBeGreaterThan(0))
    network.freeze()
    toldAtMs.length = 0
    await vi.waitFor(() => expect(toldAtMs.length).toBeGreaterThan(1), { timeout: 15_000 })
    const [first = 0, second = 0] = toldAtMs
    expect(second - first).toBeLessThan(5_000)
  })

  it('is not needed for what happens on the same server', async () => {
    const liveUsage = new LiveUsage({
      store: {
        readUsage: async () => ({
          account: { calls: 1, quota: null },
          apiKeys: [{ apiKeyId: 'key', calls: 1, lastCallAt: null, limit: null }],
        }),
      },
      bus: away,
      clock: createSystemClock(),
      statement: (_, run) => run(),
      intervalMs: 0,
      lateCommitMs: 1_000,
    })
    const watcher = liveUsage.watch({ accountId: 'account' })
    expect((await watcher.next()).value).toMatchObject({ snapshot: true, account: { calls: 1 } })
    await network.cut()
    const at = new Date()
    liveUsage.counted(at.toISOString().slice(0, 7) as '2026-11', at, {
      verdicts: [
        {
          ...{ apiKeyId: 'key', accountId: 'account', verdict: 'allowed', previousSecret: false },
          ...{ needs: { resources: false, addresses: false }, limitedApiCallId: null },
        },
      ],
      accounts: new Map([['account', { externalId: 'x', calls: 2, quota: null, charged: true }]]),
      apiKeyCalls: new Map([['key', 2]]),
      ...{ apiKeyLimits: new Map(), buckets: new Map(), resources: new Map() },
    })
    expect((await watcher.next()).value).toMatchObject({
      snapshot: false,
      account: { calls: 2 },
      apiKeys: [{ apiKeyId: 'key', calls: 2 }],
    })
    await watcher.return()
    liveUsage.close()
  })
})
