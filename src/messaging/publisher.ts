import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { everyAccountTopic, type UsageMessage } from '../domain/live-usage/event-bus.ts'
import { Retry } from './retry.ts'

/** Messages that Redis has not acknowledged; beyond this many, further ones are dropped. */
const maxUnacknowledged = 5_000

/** How long after a failed publish the other servers are told, if the connection did not break. */
const retryOptions = { minMs: 1_000, maxMs: 30_000 }

export interface PublisherOptions {
  redis: Redis
  clock: Clock
  channelOf: (topic: string) => string
  encode: (message: UsageMessage) => string
  onError: (error: Error) => void
}

/**
 * Publishes messages. While Redis is away or does not keep up they are dropped: queued, they would fill the memory and
 * be out of date on arrival. As soon as Redis accepts messages again, the other servers are told that their counts are
 * in doubt.
 */
export class Publisher {
  readonly #redis: Redis
  readonly #channelOf: PublisherOptions['channelOf']
  readonly #encode: PublisherOptions['encode']
  readonly #onError: PublisherOptions['onError']
  readonly #retry: Retry
  #unacknowledged = 0
  /** True if messages were lost that no announcement covers yet. */
  #lost = false
  #closed = false

  constructor({ redis, clock, channelOf, encode, onError }: PublisherOptions) {
    this.#redis = redis
    this.#channelOf = channelOf
    this.#encode = encode
    this.#onError = onError
    this.#retry = new Retry(clock, retryOptions)
    redis.on('ready', () => {
      this.#retry.reset()
      this.#announceLoss()
    })
  }

  publish(topic: string, message: UsageMessage): void {
    if (this.#redis.status !== 'ready' || this.#unacknowledged >= maxUnacknowledged) {
      this.#lost = true
      return
    }
    this.#unacknowledged++
    this.#redis.publish(this.#channelOf(topic), this.#encode(message)).then(
      () => this.#acknowledged(),
      (error) => this.#failed(error),
    )
  }

  close(): void {
    this.#closed = true
    this.#retry.reset()
  }

  #acknowledged(): void {
    this.#unacknowledged--
    if (this.#retry.isScheduled || this.#unacknowledged > 0) return
    if (this.#lost) this.#announceLoss()
    else this.#retry.reset()
  }

  /** Redis may refuse every message and refuse at once, so the announcement waits. So does the next report. */
  #failed(cause: Error): void {
    this.#unacknowledged--
    this.#lost = true
    if (this.#closed) return
    if (this.#retry.schedule(() => this.#announceLoss()))
      this.#onError(new Error('A message could not be published on Redis.', { cause }))
  }

  #announceLoss(): void {
    this.#lost = false
    this.publish(everyAccountTopic, { kind: 'in doubt' })
  }
}
