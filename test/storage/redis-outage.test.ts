import { randomUUID } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { accountTopic, everyAccountTopic, type UsageMessage } from '../../src/domain/live-usage/event-bus.ts'
import { type RedisEventBus, redisEventBus } from '../../src/storage/event-bus.ts'
import { redisUrl } from '../support/services.ts'

/** A way to Redis that can be closed and opened again, on the same port. */
class Way {
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()
  port = 0

  async open(): Promise<void> {
    const { hostname, port } = new URL(redisUrl)
    const server = createServer((near) => {
      const far = connect(Number(port || 6379), hostname)
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          near.destroy()
          far.destroy()
        })
      }
      near.pipe(far).pipe(near)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve))
    this.port = (server.address() as { port: number }).port
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
    await closed
  }
}

let topics = 0

describe.runIf(inject('redis'))('the event bus while Redis is away', () => {
  const way = new Way()
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

  /** Publishes until something arrives: before that, connections and subscriptions may not be there yet. */
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
    await way.open()
    const prefix = `latchkey-test-${randomUUID()}`
    away = redisEventBus({ url: `redis://127.0.0.1:${way.port}`, prefix, onError: () => {} })
    near = redisEventBus({ url: redisUrl, prefix, onError: () => {} })
  })
  afterEach(async () => {
    await away.close()
    await near.close()
    await way.close()
  })

  it('tells a listener to read again once its topic is subscribed to', async () => {
    away.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => expect(last()).toEqual({ kind: 'uncertain' }))
    away.subscribe(`${topic}-2`, (message) => received.push(message))
    await vi.waitFor(() => expect(received).toHaveLength(2))
  })

  it('tells a listener to read again when Redis is back, and goes on', async () => {
    away.subscribe(topic, (message) => received.push(message))
    await arrives(near, counted(1))
    await way.close()
    near.publish(topic, counted(2))
    received.length = 0
    await way.open()
    await vi.waitFor(() => expect(received).toContainEqual({ kind: 'uncertain' }), { timeout: 10_000 })
    await arrives(near, counted(3))
    expect(received).not.toContainEqual(counted(2))
  })

  it('drops what is published meanwhile, and tells the others to read again when Redis is back', async () => {
    near.subscribe(topic, (message) => received.push(message))
    await arrives(away, counted(1))
    const everyAccount: UsageMessage[] = []
    near.subscribe(everyAccountTopic, (message) => everyAccount.push(message))
    await vi.waitFor(() => expect(everyAccount).toHaveLength(1))
    await way.close()
    received.length = 0
    const before = process.memoryUsage().heapUsed
    for (let calls = 2; calls < 50_000; calls++) away.publish(topic, counted(calls))
    await way.open()
    await vi.waitFor(() => expect(everyAccount.length).toBeGreaterThan(1), { timeout: 10_000 })
    await arrives(away, counted(50_000))
    expect(
      received.filter((message) => message.kind === 'counted' && message.account.calls < 50_000),
    ).toEqual([])
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
  })
})
