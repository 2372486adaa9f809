import { randomUUID } from 'node:crypto'
import { createRedisEventTarget } from '@graphql-yoga/redis-event-target'
import { Redis, type RedisOptions } from 'ioredis'
import { type EventBus, everyAccountTopic, type UsageMessage } from '../domain/live-usage/event-bus.ts'
import { Pulse } from './redis-pulse.ts'

type Listener = (message: UsageMessage) => void

/** A message on its way between servers, and which of them it comes from. */
type Sent = CustomEvent<{ from: string; message: UsageMessage }>

/** Between the parts of one server. */
export function inProcessEventBus(): EventBus {
  return localEventBus()
}

export interface RedisEventBus extends EventBus {
  close(): Promise<void>
}

export interface RedisEventBusOptions {
  url: string
  /** What the names of channels begin with: the same on all servers of one database, and on no others. */
  prefix: string
  onError: (error: Error) => void
}

/** How often each connection is asked whether it is there. */
const beatMs = 1_000
/** While one is not, what cannot be told of is read from the database once in so many beats. */
const beatsBetweenReads = 4
/** Messages that Redis has not taken yet; beyond it they are dropped. */
const maxUntaken = 5_000

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
 * Between servers, through Redis; within this one, without it. What is published while Redis is away or does not keep
 * up is dropped and not kept: it would pile up in memory, and be out of date when it arrived. Listeners are told that
 * they may have missed something (`uncertain`) once their topic is subscribed to and whenever a connection has come
 * back; those of every account also every few seconds while it is away.
 */
export function redisEventBus({ url, prefix, onError }: RedisEventBusOptions): RedisEventBus {
  const publisher = new Redis(url, redisOptions)
  const subscriber = new Redis(url, redisOptions)
  const local = localEventBus()
  const self = randomUUID()
  const channelOf = (topic: string) => `${prefix}:${topic}`
  const uncertain: UsageMessage = { kind: 'uncertain' }

  async function subscribe(...topics: string[]): Promise<void> {
    try {
      await subscriber.subscribe(...topics.map(channelOf))
      // Who listens to this one hears of every account by it.
      const told = topics.includes(everyAccountTopic) ? [everyAccountTopic] : topics
      for (const topic of told) local.publish(topic, uncertain)
    } catch {
      // The connection broke meanwhile; when it is back, every topic is subscribed to again.
    }
  }

  let untaken = 0
  let dropped = false
  function send(topic: string, text: string): void {
    if (publisher.status !== 'ready' || untaken >= maxUntaken) {
      dropped = true
      return
    }
    untaken++
    publisher
      .publish(channelOf(topic), text)
      .catch(() => {
        dropped = true
      })
      .then(() => {
        untaken--
        if (untaken === 0 && dropped) tellOthersToRead()
      })
  }

  /** What this server counted and could not tell of. */
  function tellOthersToRead(): void {
    dropped = false
    tell(everyAccountTopic, uncertain)
  }

  // The clients as the event target uses them. What it starts it does not wait for, so nothing may reject.
  const subscribeClient = {
    on: (event: 'message', listener: (topic: string, text: string) => void) =>
      subscriber.on(event, (channel: string, text: string) =>
        listener(channel.slice(prefix.length + 1), text),
      ),
    subscribe: (topic: string) => (subscriber.status === 'ready' ? subscribe(topic) : undefined),
    unsubscribe: (topic: string) =>
      subscriber.status === 'ready' ? subscriber.unsubscribe(channelOf(topic)).catch(() => {}) : undefined,
  }
  const remote = createRedisEventTarget<Sent>({
    publishClient: { publish: send } as unknown as Redis,
    subscribeClient: subscribeClient as unknown as Redis,
  })
  const tell = (topic: string, message: UsageMessage) =>
    void remote.dispatchEvent(new CustomEvent(topic, { detail: { from: self, message } }))
  // It comes back to this server, too, where it has been heard already.
  const hear = ({ type, detail }: Sent) => {
    if (detail.from !== self) local.publish(type, detail.message)
  }

  publisher.on('error', onError)
  subscriber.on('error', onError)
  publisher.on('ready', tellOthersToRead)
  subscriber.on('ready', () => {
    if (local.topics().length > 0) void subscribe(...local.topics())
  })

  const pulses = [new Pulse(publisher), new Pulse(subscriber)]
  let beatsAway = 0
  const heart = setInterval(() => {
    const answers = pulses.map((pulse) => pulse.beat())
    beatsAway = answers.includes(false) ? beatsAway + 1 : 0
    if (beatsAway % beatsBetweenReads === 1) local.publish(everyAccountTopic, uncertain)
  }, beatMs).unref()

  return {
    publish(topic, message) {
      local.publish(topic, message)
      tell(topic, message)
    },
    subscribe(topic, listener) {
      const unsubscribe = local.subscribe(topic, listener)
      if (local.listeners(topic) === 1) remote.addEventListener(topic, hear)
      return () => {
        unsubscribe()
        if (local.listeners(topic) === 0) remote.removeEventListener(topic, hear)
      }
    },
    async close() {
      clearInterval(heart)
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}

function localEventBus() {
  const listenersOf = new Map<string, Set<Listener>>()
  return {
    topics: () => [...listenersOf.keys()],
    listeners: (topic: string) => listenersOf.get(topic)?.size ?? 0,
    publish(topic: string, message: UsageMessage): void {
      for (const listener of listenersOf.get(topic) ?? []) listener(message)
    },
    /** Returns what ends the subscription; harmless when called again. */
    subscribe(topic: string, listener: Listener): () => void {
      const listeners = listenersOf.get(topic) ?? new Set()
      listenersOf.set(topic, listeners.add(listener))
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0 && listenersOf.get(topic) === listeners) listenersOf.delete(topic)
      }
    },
  }
}
