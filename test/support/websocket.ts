import { on, once } from 'node:events'
import { type Client, type ClientOptions, createClient } from 'graphql-ws'
import WebSocket from 'ws'
import type { TestApp } from './app.ts'

/** A real graphql-ws client. */
export function webSocketClient(
  app: { url: string },
  token?: string,
  options: Partial<ClientOptions> = {},
): Client {
  return createClient({
    url: `${app.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...(token ? { connectionParams: { authorization: `Bearer ${token}` } } : {}),
    ...options,
  })
}

export interface LiveUsageEvent {
  month: string
  snapshot: boolean
  complete: boolean
  account: { calls: number; quota: number | null; remaining: number | null; resetsAt: string }
  apiKeys: { apiKeyId: string; month: string; calls: number; lastCallAt: string | null }[]
}

export const liveUsageDocument = /* not typed: sent as it stands */ `
  subscription LiveUsage($apiKeyIds: [ID!], $accountId: ID) {
    liveUsage(apiKeyIds: $apiKeyIds, accountId: $accountId) {
      month
      snapshot
      complete
      account { calls quota remaining resetsAt }
      apiKeys { apiKeyId month calls lastCallAt }
    }
  }`

/** A subscriber that keeps every event, and the counts that a frontend would show. */
export class LiveUsageWatcher {
  readonly events: LiveUsageEvent[] = []
  readonly errors: unknown[] = []
  ended = false
  #wake: () => void = () => {}
  readonly #client: Client

  constructor(
    app: Pick<TestApp, 'url'>,
    token: string,
    variables: { apiKeyIds?: string[]; accountId?: string } = {},
    options: Partial<ClientOptions> = {},
  ) {
    this.#client = webSocketClient(app, token, options)
    this.#client.subscribe<{ liveUsage: LiveUsageEvent }>(
      { query: liveUsageDocument, variables },
      {
        next: ({ data, errors }) => {
          if (data?.liveUsage) this.events.push(data.liveUsage)
          if (errors) this.errors.push(...errors)
          this.#wake()
        },
        error: (error) => {
          this.errors.push(error)
          this.ended = true
          this.#wake()
        },
        complete: () => {
          this.ended = true
          this.#wake()
        },
      },
    )
  }

  /** The counts by key, merged as a frontend merges them. */
  get counts(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { snapshot, apiKeys } of this.events) {
      if (snapshot) counts.clear()
      for (const { apiKeyId, calls } of apiKeys) counts.set(apiKeyId, calls)
    }
    return counts
  }

  /** Resolves when `condition` holds, which is checked after every event. Fails after `withinMs`. */
  async until(condition: (watcher: this) => boolean, withinMs = 5_000): Promise<void> {
    const timeout = AbortSignal.timeout(withinMs)
    while (!condition(this)) {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        timeout.onabort = () =>
          reject(new Error(`The condition did not come true: ${JSON.stringify(this.events.at(-1))}`))
      })
    }
  }

  async close(): Promise<void> {
    await this.#client.dispose()
  }
}

/** Opens a WebSocket on which nothing is sent yet. */
export async function rawWebSocket(
  app: { url: string },
  { path = '/graphql', protocols = ['graphql-transport-ws'] } = {},
): Promise<WebSocket> {
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}${path}`, protocols)
  await once(socket, 'open')
  return socket
}

/** Resolves when the socket is closed, to the code and the reason. */
export async function closeOf(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = await once(socket, 'close')
  return { code, reason: String(reason) }
}

/** A WebSocket on which a test speaks graphql-transport-ws by hand. It queues the messages received. */
export class RawConnection {
  readonly socket: WebSocket
  readonly #messages: AsyncIterator<[Buffer]>

  constructor(socket: WebSocket) {
    this.socket = socket
    this.#messages = on(socket, 'message', { close: ['close'] }) as AsyncIterator<[Buffer]>
  }

  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** The next message; undefined once the socket is closed. */
  async next(): Promise<{ type: string; id?: string; payload?: unknown } | undefined> {
    const { done, value } = await this.#messages.next()
    return done ? undefined : JSON.parse(String(value[0]))
  }

  /** Initialises the connection, with a token or without. */
  async init(token?: string): Promise<this> {
    this.send({ type: 'connection_init', payload: token ? { authorization: `Bearer ${token}` } : {} })
    const message = await this.next()
    if (message?.type !== 'connection_ack') throw new Error(`not acknowledged: ${JSON.stringify(message)}`)
    return this
  }
}

/** Opens a WebSocket for a test that speaks the protocol by hand. */
export async function openRawConnection(app: { url: string }): Promise<RawConnection> {
  return new RawConnection(await rawWebSocket(app))
}
