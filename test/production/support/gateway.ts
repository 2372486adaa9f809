import { type Client, createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { MeterApiCall } from '../../support/operations.ts'

export interface Outcome {
  /** A decision's code, an error's, or `no answer` where the connection broke before one came. */
  code: string
  /** From asking to the outcome. */
  ms: number
}

/** An answer that takes longer than this has not come: the call hangs. */
const hangsAfterMs = 15_000

/** A gateway that meters over one WebSocket, and connects anew when it breaks. It never asks twice about one call. */
export class Gateway {
  readonly #client: Client
  readonly #unanswered = new Set<() => void>()

  /** `url` is asked for the server to connect to, each time. */
  constructor(url: () => string, token: string) {
    this.#client = createClient({
      url: () => `${url().replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      lazy: false,
      onNonLazyError: () => {},
      retryAttempts: Number.POSITIVE_INFINITY,
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
      shouldRetry: () => true,
      connectionParams: { authorization: `Bearer ${token}` },
      // The client would send again what was under way; whether it had been counted nobody knows.
      on: { closed: () => this.#unanswered.forEach((giveUp) => void giveUp()) },
    })
  }

  call(secret: string, apiCall = 'v3.ping'): Promise<Outcome> {
    const startedAt = performance.now()
    return new Promise((resolve) => {
      const end = (code: string) => {
        clearTimeout(hanging)
        this.#unanswered.delete(giveUp)
        resolve({ code, ms: performance.now() - startedAt })
      }
      let code = 'no answer'
      const unsubscribe = this.#client.subscribe<{ meterApiCall: { code: string } }>(
        { query: String(MeterApiCall), variables: { secret, apiCall } },
        {
          next: ({ data, errors }) => {
            code = data?.meterApiCall?.code ?? String(errors?.[0]?.extensions?.code)
          },
          error: () => end('no answer'),
          complete: () => end(code),
        },
      )
      const giveUp = () => {
        unsubscribe()
        end('no answer')
      }
      this.#unanswered.add(giveUp)
      const hanging = setTimeout(() => {
        unsubscribe()
        end('hangs')
      }, hangsAfterMs)
    })
  }

  async close(): Promise<void> {
    await this.#client.dispose()
  }
}
