import { type Redis, ReplyError } from 'ioredis'
import type { Clock } from '../clock.ts'
import { everyAccountTopic, type UsageMessage } from '../domain/live-usage/event-bus.ts'
import { Retry } from './retry.ts'

type Listener = (message: UsageMessage) => void

interface Topic {
  listeners: Set<Listener>
  /** Whether SUBSCRIBE has yet to be sent, was sent, or was confirmed on the current connection. */
  state: 'wanted' | 'requested' | 'confirmed'
}

const retryOptions = { minMs: 1_000, maxMs: 30_000 }

export interface SubscriberOptions {
  redis: Redis
  clock: Clock
  channelOf: (topic: string) => string
  onError: (error: Error) => void
}

/**
 * Keeps Redis subscribed to the topics that have listeners, across lost connections and refused SUBSCRIBEs. Once a
 * topic is confirmed, its listeners are told that counts are in doubt: messages may have been missed before.
 */
export class Subscriber {
  readonly #redis: Redis
  readonly #channelOf: SubscriberOptions['channelOf']
  readonly #onError: SubscriberOptions['onError']
  readonly #retry: Retry
  readonly #topics = new Map<string, Topic>()

  constructor({ redis, clock, channelOf, onError }: SubscriberOptions) {
    this.#redis = redis
    this.#channelOf = channelOf
    this.#onError = onError
    this.#retry = new Retry(clock, retryOptions)
    redis.on('close', () => {
      for (const topic of this.#topics.values()) topic.state = 'wanted'
    })
    redis.on('ready', () => {
      this.#retry.reset()
      void this.#subscribeToWanted()
    })
  }

  /** Returns what ends the subscription; calling it again has no effect. */
  subscribe(name: string, listener: Listener): () => void {
    const topic = this.#topics.get(name) ?? { listeners: new Set(), state: 'wanted' }
    this.#topics.set(name, topic)
    topic.listeners.add(listener)
    if (topic.state === 'wanted') void this.#subscribeToWanted()
    return () => {
      topic.listeners.delete(listener)
      if (topic.listeners.size === 0 && this.#topics.get(name) === topic) this.#drop(name, topic)
    }
  }

  hasListeners(name: string): boolean {
    return this.#topics.has(name)
  }

  deliver(name: string, message: UsageMessage): void {
    for (const listener of this.#topics.get(name)?.listeners ?? []) listener(message)
  }

  close(): void {
    this.#topics.clear()
    this.#retry.reset()
  }

  async #subscribeToWanted(): Promise<void> {
    if (this.#redis.status !== 'ready') return
    const wanted = [...this.#topics].filter(([, { state }]) => state === 'wanted')
    if (wanted.length === 0) return
    for (const [, topic] of wanted) topic.state = 'requested'
    try {
      await this.#redis.subscribe(...wanted.map(([name]) => this.#channelOf(name)))
    } catch (error) {
      this.#subscribeFailed(wanted, error as Error)
      return
    }
    this.#confirm(wanted)
  }

  #confirm(requested: [name: string, topic: Topic][]): void {
    // A topic may have been dropped, or dropped and requested anew, in the meantime.
    const confirmed = requested.filter(([name, topic]) => this.#topics.get(name) === topic)
    for (const [, topic] of confirmed) topic.state = 'confirmed'
    if (![...this.#topics.values()].some(({ state }) => state === 'wanted')) this.#retry.reset()
    const names = confirmed.map(([name]) => name)
    // Whoever listens to every account passes it on to all of them.
    const told = names.includes(everyAccountTopic) ? [everyAccountTopic] : names
    for (const name of told) this.deliver(name, { kind: 'in doubt' })
  }

  /** After a lost connection, the next `ready` subscribes again. A refusal has to be retried. */
  #subscribeFailed(requested: [name: string, topic: Topic][], cause: Error): void {
    for (const [, topic] of requested) topic.state = 'wanted'
    if (this.#redis.status !== 'ready' || this.#topics.size === 0) return
    if (this.#retry.schedule(() => void this.#subscribeToWanted()))
      this.#onError(new Error('Redis refused a subscription.', { cause }))
  }

  #drop(name: string, { state }: Topic): void {
    this.#topics.delete(name)
    if (state === 'wanted' || this.#redis.status !== 'ready') return
    this.#redis.unsubscribe(this.#channelOf(name)).catch((cause) => {
      // With a lost connection the subscription is gone as well.
      if (cause instanceof ReplyError) this.#onError(new Error('Redis refused to unsubscribe.', { cause }))
    })
  }
}
