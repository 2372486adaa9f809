import { createRedisEventTarget } from '@graphql-yoga/redis-event-target'
import { Redis } from 'ioredis'
import type { EventBus, UsageMessage } from '../domain/live-usage/event-bus.ts'

type Message = CustomEvent<UsageMessage>

/** Between the parts of one server. */
export function inProcessEventBus(): EventBus {
  return overEventTarget(new EventTarget())
}

export interface RedisEventBus extends EventBus {
  close(): Promise<void>
}

/** Between servers, through Redis. While Redis is away messages are lost, as the bus allows. */
export function redisEventBus(url: string, onError: (error: Error) => void): RedisEventBus {
  const connect = () => {
    const client = new Redis(url, { enableOfflineQueue: true, maxRetriesPerRequest: null })
    client.on('error', onError)
    return client
  }
  const [publishClient, subscribeClient] = [connect(), connect()]
  const target = createRedisEventTarget<Message>({ publishClient, subscribeClient })
  return {
    ...overEventTarget(target as unknown as EventTarget),
    async close() {
      publishClient.disconnect()
      subscribeClient.disconnect()
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
