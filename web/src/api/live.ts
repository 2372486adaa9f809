import { type Client, createClient, type FormattedExecutionResult, type SubscribePayload } from 'graphql-ws'
import { SignedOutError, type Tokens } from './tokens.ts'

/**
 *   connecting ──▶ live ──▶ reconnecting ──▶ live …
 *                             ▲      │
 *                             └── offline (the browser reports no network), signedOut (there is no token)
 *   any ──▶ stopped (the server refuses for good)
 */
export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'signedOut' | 'stopped'

/** The interval of pings to the server, and how long it has to answer. */
const pingMs = 15_000
const pongWaitMs = 5_000
const shortestPauseMs = 500
const longestPauseMs = 5_000

type Result = FormattedExecutionResult<Record<string, unknown>, unknown>

export interface Sink {
  next(result: Result): void
  /** Called when no further events will follow. */
  error(error: unknown): void
}

/** How a subscription ended. */
type End = 'no token' | 'refused token' | 'replaced token' | 'not allowed' | 'broken'

/** Close codes: the server's for a token that is no longer valid, and graphql-ws's for `terminate`. */
const forbiddenCode = 4403
const terminatedCode = 4499

/**
 * The WebSocket for live counts. A subscription continues until it is cancelled: when the connection breaks or the
 * token expires, it restarts with a valid token, and so with a new snapshot.
 */
export class LiveConnection {
  readonly #client: Client
  readonly #tokens: Tokens
  readonly #listeners = new Set<() => void>()
  #state: LiveState = 'connecting'
  #isReplacing = false

  constructor(url: string, tokens: Tokens) {
    this.#tokens = tokens
    let pongWait: ReturnType<typeof setTimeout> | undefined
    this.#client = createClient({
      url,
      connectionParams: () => ({ authorization: `Bearer ${tokens.current}` }),
      // This class reconnects itself, because it knows why the connection ended.
      retryAttempts: 0,
      keepAlive: pingMs,
      connectionAckWaitTimeout: 2 * pongWaitMs,
      on: {
        ping: (received) => {
          if (!received) pongWait = setTimeout(() => this.#client.terminate(), pongWaitMs)
        },
        pong: () => clearTimeout(pongWait),
        closed: () => clearTimeout(pongWait),
      },
    })
    tokens.onReplaced = () => {
      this.#isReplacing = true
      this.#client.terminate()
    }
  }

  readonly getState = (): LiveState => this.#state

  readonly onState = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Subscribes. Returns a function that cancels the subscription. */
  follow(request: SubscribePayload, sink: Sink): () => void {
    const given = new AbortController()
    void this.#goOn(request, sink, given.signal)
    return () => given.abort()
  }

  async stop(): Promise<void> {
    await this.#client.dispose()
  }

  async #goOn(request: SubscribePayload, sink: Sink, signal: AbortSignal): Promise<void> {
    let failures = 0
    let refused = false
    while (!signal.aborted) {
      const end = await this.#once(request, refused, signal, (result) => {
        failures = 0
        this.#set('live')
        sink.next(result)
      })
      if (signal.aborted) return
      if (end === 'not allowed') {
        this.#set('stopped')
        return sink.error(new Error(end))
      }
      refused = end === 'refused token' || (refused && end === 'no token')
      if (end === 'replaced token') continue
      if (end === 'no token') this.#set('signedOut')
      else if (this.#state !== 'connecting' || failures > 0)
        this.#set(navigator.onLine ? 'reconnecting' : 'offline')
      await pause(failures++, signal)
    }
  }

  async #once(
    request: SubscribePayload,
    refused: boolean,
    signal: AbortSignal,
    next: (result: Result) => void,
  ): Promise<End> {
    try {
      await (refused ? this.#tokens.renew() : this.#tokens.get())
    } catch (error) {
      return error instanceof SignedOutError ? 'no token' : 'broken'
    }
    if (signal.aborted) return 'broken'
    return await new Promise((resolve) => {
      let end: End = 'broken'
      const giveUp = this.#client.subscribe(request, {
        next: (result) => {
          if (!result.errors) return next(result)
          end = endOf(result.errors)
          giveUp()
        },
        error: (error) => resolve(Array.isArray(error) ? endOf(error) : this.#endOfClose(error)),
        complete: () => resolve(end),
      })
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #endOfClose(error: unknown): End {
    const code = typeof error === 'object' && error && 'code' in error ? error.code : undefined
    const replaced = this.#isReplacing && code === terminatedCode
    this.#isReplacing = false
    if (replaced) return 'replaced token'
    return code === forbiddenCode ? 'refused token' : 'broken'
  }

  #set(state: LiveState): void {
    if (state === this.#state) return
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}

function endOf(errors: readonly { extensions?: unknown }[]): End {
  const codes = errors.map(({ extensions }) => (extensions as { code?: unknown } | undefined)?.code)
  if (codes.includes('UNAUTHENTICATED')) return 'refused token'
  return codes.includes('FORBIDDEN') || codes.includes('BAD_USER_INPUT') ? 'not allowed' : 'broken'
}

/** Backs off exponentially. Ends early when the network returns or the page becomes visible. */
function pause(failures: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(shortestPauseMs * 2 ** failures, longestPauseMs)
  return new Promise((resolve) => {
    const ended = new AbortController()
    const end = () => {
      clearTimeout(timer)
      ended.abort()
      resolve()
    }
    // Jitter, so that not all pages reconnect at once when a server is back.
    const timer = setTimeout(end, longest * (0.5 + Math.random() / 2))
    const options = { signal: ended.signal }
    window.addEventListener('online', end, options)
    document.addEventListener(
      'visibilitychange',
      () => document.visibilityState === 'visible' && end(),
      options,
    )
    signal.addEventListener('abort', end, options)
  })
}
