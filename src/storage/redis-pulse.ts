import type { Redis } from 'ioredis'

/**
 * Whether a connection to Redis answers, asked at every beat. One that has not answered by the next beat is closed and
 * made anew: a peer that has frozen, or a network that swallows everything, says nothing by itself.
 */
export class Pulse {
  readonly #redis: Redis
  /** True from a question to its answer. */
  #asked = false

  constructor(redis: Redis) {
    this.#redis = redis
    redis.on('ready', () => {
      this.#asked = false
    })
  }

  /** Asks again. Returns whether the connection is there and has answered what it was asked before. */
  beat(): boolean {
    const { status } = this.#redis
    // Between these two Redis is greeted, which it may leave unanswered as well.
    const connected = status === 'connect' || status === 'ready'
    if (connected && this.#asked) {
      this.#asked = false
      this.#redis.disconnect(true)
      return false
    }
    this.#asked = connected
    if (status !== 'ready') return false
    this.#redis.ping().then(
      () => {
        this.#asked = false
      },
      // The connection broke, which ioredis mends by itself.
      () => {},
    )
    return true
  }
}
