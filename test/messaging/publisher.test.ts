import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { createSystemClock } from '../../src/clock.ts'
import { Publisher } from '../../src/messaging/publisher.ts'

/** A client that counts as ready and rejects every command at once, as ioredis does on a socket that just closed. */
class RefusingRedis extends EventEmitter {
  readonly status = 'ready'
  published = 0

  async publish(): Promise<never> {
    this.published++
    throw new Error("Stream isn't writeable and enableOfflineQueue options is false")
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the publisher', () => {
  it('does not block the event loop when a ready client rejects every publish at once', async () => {
    const redis = new RefusingRedis()
    const errors: Error[] = []
    const waitsMs: number[] = []
    const retries: (() => void)[] = []
    const publisher = new Publisher({
      redis: redis as unknown as Redis,
      clock: {
        ...createSystemClock(),
        after(waitMs, callback) {
          waitsMs.push(waitMs)
          retries.push(callback)
          return () => {}
        },
      },
      channelOf: (topic) => topic,
      encode: ({ kind }) => kind,
      onError: (error) => errors.push(error),
    })
    for (let i = 0; i < 10; i++) publisher.publish('topic', { kind: 'changed' })
    await turn()
    expect([redis.published, errors.length, retries.length]).toEqual([10, 1, 1])
    for (let retry = 0; retry < 20; retry++) {
      retries[retry]?.()
      await turn()
    }
    expect([redis.published, errors.length, retries.length]).toEqual([30, 21, 21])
    const bounds = waitsMs.map((_, failures) => Math.min(30_000, 1_000 * 2 ** failures))
    expect(waitsMs.filter((waitMs, i) => waitMs > (bounds[i] ?? 0) || waitMs < (bounds[i] ?? 0) / 2)).toEqual(
      [],
    )
    expect(new Set(waitsMs).size).toBe(waitsMs.length)
    publisher.close()
  })
})
