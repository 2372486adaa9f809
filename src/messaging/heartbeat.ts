import { type Redis, ReplyError } from 'ioredis'

/**
 * Detects a connection to Redis that no longer answers: a frozen peer, or a network that drops every packet, closes no
 * socket. A connection that has not answered one PING by the next beat is closed, and ioredis opens another.
 */
export class Heartbeat {
  readonly #redis: Redis
  #awaitsReply = false

  constructor(redis: Redis) {
    this.#redis = redis
    redis.on('ready', () => {
      this.#awaitsReply = false
    })
  }

  /** Sends a PING. Returns whether the connection is ready and answered the previous one. */
  beat(): boolean {
    const { status } = this.#redis
    // From 'connect' to 'ready' ioredis greets the server, which a frozen one leaves unanswered as well.
    const isConnected = status === 'connect' || status === 'ready'
    if (isConnected && this.#awaitsReply) {
      this.#awaitsReply = false
      this.#redis.disconnect(true)
      return false
    }
    this.#awaitsReply = isConnected
    if (status !== 'ready') return false
    const answered = () => {
      this.#awaitsReply = false
    }
    // A refusal is an answer. Any other error means that the connection broke, which ioredis repairs and reports.
    this.#redis.ping().then(answered, (error) => {
      if (error instanceof ReplyError) answered()
    })
    return true
  }
}
