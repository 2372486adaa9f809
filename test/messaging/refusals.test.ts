import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { accountTopic, everyAccountTopic, type UsageMessage } from '../../src/domain/live-usage/event-bus.ts'
import { RedisEventBus } from '../../src/messaging/redis-event-bus.ts'
import { PrivateRedis } from '../production/support/private-redis.ts'
import { canRunRedis } from '../production/support/programs.ts'

const topic = accountTopic('of-one-account')
const patience = { timeout: 15_000 }
const changed: UsageMessage = { kind: 'changed' }
const inDoubt: UsageMessage = { kind: 'in doubt' }

describe.runIf(canRunRedis)('the event bus on a Redis that answers', () => {
  let redis: PrivateRedis
  let admin: Redis
  let limited: RedisEventBus
  let near: RedisEventBus
  let errors: string[]
  let received: UsageMessage[]

  /** Sets what the user `limited` may do. */
  const allow = (...rules: string[]) => admin.acl('SETUSER', 'limited', ...rules)
  /** The commands of one kind that Redis refused so far. */
  async function refused(command: string): Promise<number> {
    const stats = await admin.info('commandstats')
    return Number(new RegExp(`cmdstat_${command}:.*rejected_calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  beforeAll(async () => {
    redis = await PrivateRedis.start()
    admin = new Redis(redis.url)
  })
  afterAll(async () => {
    admin.disconnect()
    await redis.stop('SIGKILL')
  })

  beforeEach(async () => {
    errors = []
    received = []
    await admin.config('RESETSTAT')
    await allow('reset', 'on', '>secret', '~*', '&*', '+@all')
    const { host } = new URL(redis.url)
    limited = new RedisEventBus({
      url: `redis://limited:secret@${host}`,
      prefix: 'test',
      onError: (error) => errors.push(`${error.message} ${error.cause ?? ''}`),
    })
    near = new RedisEventBus({ url: redis.url, prefix: 'test', onError: () => {} })
  })
  afterEach(() => {
    limited.close()
    near.close()
  })

  /** Resolves once messages pass from `limited` to `near`. */
  async function connected(): Promise<void> {
    const end = near.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => {
      limited.publish(topic, changed)
      expect(received).toContainEqual(changed)
    }, patience)
    end()
    received.length = 0
  }

  it('reports a refused publish once, and paces what follows it while Redis goes on refusing', async () => {
    await connected()
    await allow('-publish')
    for (let i = 0; i < 50; i++) {
      limited.publish(topic, changed)
      await turn()
    }
    await vi.waitFor(async () => expect(await refused('publish')).toBeGreaterThan(50), patience)
    await vi.waitFor(() => expect(errors.length).toBeGreaterThan(1), patience)
    // Of the bus itself: one announcement per retry, at first after at least half a second.
    expect(await refused('publish')).toBeLessThanOrEqual(50 + errors.length)
    expect(errors[0]).toMatch(/could not be published.*NOPERM/)
  })

  it('tells the other servers that counts are in doubt once Redis accepts messages again', async () => {
    await connected()
    near.subscribe(everyAccountTopic, (message) => received.push(message))
    await vi.waitFor(() => expect(received).toHaveLength(1), patience)
    await allow('-publish')
    limited.publish(topic, changed)
    await vi.waitFor(() => expect(errors).toHaveLength(1), patience)
    await allow('+publish')
    await vi.waitFor(() => expect(received).toEqual([inDoubt, inDoubt]), patience)
    expect(errors).toHaveLength(1)
  })

  it('reports a refused subscription, and retries it until Redis accepts it', async () => {
    await allow('resetchannels')
    limited.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => expect(errors.join()).toMatch(/refused a subscription.*NOPERM/), patience)
    expect(received).toEqual([])
    await allow('allchannels')
    await vi.waitFor(() => expect(received).toEqual([inDoubt]), patience)
    await vi.waitFor(() => {
      near.publish(topic, changed)
      expect(received).toContainEqual(changed)
    }, patience)
  })

  it('keeps its connection when Redis refuses PING: a refusal is an answer', async () => {
    await connected()
    await allow('-ping')
    const ids = async () =>
      String(await admin.client('LIST'))
        .split('\n')
        .filter((line) => line.includes('user=limited'))
        .map((line) => /\bid=(\d+)/.exec(line)?.[1])
    const before = await ids()
    await vi.waitFor(async () => expect(await refused('ping')).toBeGreaterThanOrEqual(6), patience)
    expect(await ids()).toEqual(before)
    expect(before).toHaveLength(2)
  })

  it.each([
    ['text that is not JSON', 'nonsense'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['a message without a sender', '{"message":{"kind":"changed"}}'],
    ['an unknown kind', '{"from":"x","message":{"kind":"exploded"}}'],
    ['counts without keys', '{"from":"x","message":{"kind":"counted","month":"2026-11"}}'],
    [
      'a count that is not a number',
      '{"from":"x","message":{"kind":"counted","month":"2026-11","account":{"calls":"1","quota":null},"apiKeys":[]}}',
    ],
    [
      'a month that is none',
      '{"from":"x","message":{"kind":"counted","month":"2026-13","account":{"calls":1,"quota":null},"apiKeys":[]}}',
    ],
    [
      'an instant that is none',
      '{"from":"x","message":{"kind":"counted","month":"2026-11","account":{"calls":1,"quota":null},"apiKeys":[{"apiKeyId":"k","calls":1,"lastCallAt":"soon"}]}}',
    ],
  ])('ignores and counts %s, reports it once, and goes on', async (_what, text) => {
    limited.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => expect(received).toEqual([inDoubt]), patience)
    await admin.publish(`test:${topic}`, text)
    await admin.publish(`test:${topic}`, text)
    await admin.publish(`test:${topic}`, '{"from":"x","message":{"kind":"changed"}}')
    await vi.waitFor(() => expect(received).toEqual([inDoubt, changed]), patience)
    expect(limited.invalidMessages).toBe(2)
    expect(errors).toEqual([expect.stringMatching(/^A message on Redis is (invalid|not JSON)/)])
  })

  it('understands what version 0.1 publishes, and is understood by it', async () => {
    limited.subscribe(topic, (message) => received.push(message))
    await vi.waitFor(() => expect(received).toEqual([inDoubt]), patience)
    await admin.publish(`test:${topic}`, '{"from":"x","message":{"kind":"uncertain"}}')
    await vi.waitFor(() => expect(received).toEqual([inDoubt, inDoubt]), patience)
    const listener = admin.duplicate()
    const texts: string[] = []
    listener.on('message', (_channel, text) => texts.push(text))
    await listener.subscribe(`test:${topic}`)
    limited.publish(topic, inDoubt)
    await vi.waitFor(() => expect(JSON.parse(texts[0] ?? '{}').message).toEqual({ kind: 'uncertain' }))
    listener.disconnect()
  })
})
