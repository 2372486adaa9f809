import { createRedisEventTarget } from '@graphql-yoga/redis-event-target'
import { Redis } from 'ioredis'
import { type EventBus, everyAccountTopic, type UsageMessage } from '../domain/live-usage/event-bus.ts'

type Message = CustomEvent<UsageMessage>
type Listener = (message: UsageMessage) => void

/** Between the parts of one server. */
export function inProcessEventBus(): EventBus {
  return overEventTarget(new EventTarget())
}

export interface RedisEventBus extends EventBus {
  close(): Promise<void>
}

export interface RedisOptions {
  url: string
  /** What the names of channels begin with: the same on all servers of one database, and on no others. */
  prefix: string
  onError: (error: Error) => void
}

/**
 * Between servers, through Redis. What is published while Redis is away is dropped and not kept: it would pile up
 * in memory, and be out of date when it arrived. Listeners are told that they may have missed something
 * (`uncertain`) once their topic is subscribed to, and again whenever a connection has come back.
 */
export function redisEventBus({ url, prefix, onError }: RedisOptions): RedisEventBus {
  const publisher = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
  })
  const subscriber = new Redis(url, { autoResubscribe: false, maxRetriesPerRequest: null })
  const listeners = new Map<string, Set<Listener>>()
  const channelOf = (topic: string) => `${prefix}:${topic}`

  async function subscribe(...topics: string[]): Promise<void> {
    try {
      await subscriber.subscribe(...topics.map(channelOf))
      for (const topic of topics)
        for (const listener of listeners.get(topic) ?? []) listener({ kind: 'uncertain' })
    } catch {
      // The connection broke meanwhile; when it is back, every topic is subscribed to again.
    }
  }

  // The clients as the event target uses them. What it starts it does not wait for, so nothing may reject.
  const publishClient = {
    publish: (topic: string, text: string) => publisher.publish(channelOf(topic), text).catch(() => {}),
  }
  const subscribeClient = {
    on: (event: 'message', listener: (topic: string, text: string) => void) =>
      subscriber.on(event, (channel: string, text: string) =>
        listener(channel.slice(prefix.length + 1), text),
      ),
    subscribe: (topic: string) => (subscriber.status === 'ready' ? subscribe(topic) : undefined),
    unsubscribe: (topic: string) =>
      subscriber.status === 'ready' ? subscriber.unsubscribe(channelOf(topic)).catch(() => {}) : undefined,
  }
  const target = createRedisEventTarget<Message>({
    publishClient: publishClient as unknown as Redis,
    subscribeClient: subscribeClient as unknown as Redis,
  })
  const bus = overEventTarget(target as unknown as EventTarget)

  publisher.on('error', onError)
  subscriber.on('error', onError)
  // What this server counted while it could not publish, the others have not been told of.
  publisher.on('ready', () => bus.publish(everyAccountTopic, { kind: 'uncertain' }))
  subscriber.on('ready', () => {
    if (listeners.size > 0) void subscribe(...listeners.keys())
  })

  return {
    publish: bus.publish,
    subscribe(topic, listener) {
      const ofTopic = listeners.get(topic) ?? new Set()
      listeners.set(topic, ofTopic.add(listener))
      const unsubscribe = bus.subscribe(topic, listener)
      return () => {
        ofTopic.delete(listener)
        if (ofTopic.size === 0) listeners.delete(topic)
        unsubscribe()
      }
    },
    async close() {
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}

function overEventTarget(target: EventTarget): EventBus {
  return {
    publish(topic, message) {
      target.dispatchEvent(new CustomEvent(topic, { detail: message }))
    },
    subscribe(topic, listener) {
      const handle = (event: Event) => listener((event as Message).detail)
      target.addEventListener(topic, handle)
      return () => target.removeEventListener(topic, handle)
    },
  }
}
