import { randomUUID } from 'node:crypto'
import { Redis, type RedisOptions } from 'ioredis'
import { type Clock, createSystemClock } from '../clock.ts'
import { type EventBus, everyAccountTopic, type UsageMessage } from '../domain/live-usage/event-bus.ts'
import { Heartbeat } from './heartbeat.ts'
import { Publisher } from './publisher.ts'
import { Subscriber } from './subscriber.ts'
import { decode, encode, InvalidMessageError } from './wire-format.ts'

export interface RedisEventBusOptions {
  url: string
  /** The prefix of all channels: the same on all servers of one database, and on no others. */
  prefix: string
  /** Called when Redis is unreachable, refuses a command, or carries an invalid message (the first one only). */
  onError: (error: Error) => void
  clock?: Clock
}

/** How often each connection is checked. */
const heartbeatMs = 1_000
/** While Redis is away, counts are read from the database once in this many heartbeats. */
const heartbeatsBetweenReads = 4

const redisOptions: RedisOptions = {
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: null,
  connectTimeout: 2_000,
  disconnectTimeout: 500,
  retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
}

/**
 * Connects the servers of one database through Redis. Whenever messages may have been lost, listeners are told that
 * counts are in doubt: after a topic is subscribed to, after a connection is restored, and, for listeners to every
 * account, every few seconds while Redis is away.
 */
export class RedisEventBus implements EventBus {
  readonly #connections: readonly Redis[]
  readonly #heartbeats: readonly Heartbeat[]
  readonly #publisher: Publisher
  readonly #subscriber: Subscriber
  readonly #prefix: string
  readonly #onError: (error: Error) => void
  readonly #clock: Clock
  /** Identifies this server's own messages, which Redis sends back to it. */
  readonly #self = randomUUID()
  #invalidMessages = 0
  #heartbeatsAway = 0
  #cancelHeartbeat = () => {}

  constructor({ url, prefix, onError, clock = createSystemClock() }: RedisEventBusOptions) {
    // A connection that subscribes cannot publish.
    const [publishing, subscribing] = [new Redis(url, redisOptions), new Redis(url, redisOptions)]
    this.#connections = [publishing, subscribing]
    this.#heartbeats = this.#connections.map((redis) => new Heartbeat(redis))
    this.#prefix = prefix
    this.#onError = onError
    this.#clock = clock
    const channelOf = (topic: string) => `${prefix}:${topic}`
    this.#publisher = new Publisher({
      redis: publishing,
      clock,
      channelOf,
      encode: (message) => encode({ from: this.#self, message }),
      onError,
    })
    this.#subscriber = new Subscriber({ redis: subscribing, clock, channelOf, onError })
    subscribing.on('message', (channel: string, text: string) => this.#receive(channel, text))
    for (const redis of this.#connections) redis.on('error', onError)
    this.#scheduleHeartbeat()
  }

  /** How many messages arrived that were not Latchkey's. They are ignored. */
  get invalidMessages(): number {
    return this.#invalidMessages
  }

  publish(topic: string, message: UsageMessage): void {
    this.#publisher.publish(topic, message)
  }

  subscribe(topic: string, listener: (message: UsageMessage) => void): () => void {
    return this.#subscriber.subscribe(topic, listener)
  }

  close(): void {
    this.#cancelHeartbeat()
    this.#publisher.close()
    this.#subscriber.close()
    for (const redis of this.#connections) redis.disconnect()
  }

  #receive(channel: string, text: string): void {
    const topic = channel.slice(this.#prefix.length + 1)
    if (!this.#subscriber.hasListeners(topic)) return
    try {
      const { from, message } = decode(text)
      if (from !== this.#self) this.#subscriber.deliver(topic, message)
    } catch (error) {
      if (!(error instanceof InvalidMessageError)) throw error
      this.#invalidMessages++
      if (this.#invalidMessages === 1) this.#onError(error)
    }
  }

  #scheduleHeartbeat(): void {
    this.#cancelHeartbeat = this.#clock.after(heartbeatMs, () => {
      this.#beat()
      this.#scheduleHeartbeat()
    })
  }

  #beat(): void {
    const answers = this.#heartbeats.map((heartbeat) => heartbeat.beat())
    this.#heartbeatsAway = answers.includes(false) ? this.#heartbeatsAway + 1 : 0
    if (this.#heartbeatsAway % heartbeatsBetweenReads === 1)
      this.#subscriber.deliver(everyAccountTopic, { kind: 'in doubt' })
  }
}
