import { type Client, createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { MeterApiCall } from '../../support/operations.ts'

export interface Outcome {
  /** The code of a decision or an error; `no answer` if the connection broke first. */
  code: string
  /** From the call to the outcome. */
  ms: number
}

/** A call that takes longer than this counts as hanging. */
const hangsAfterMs = 15_000

/** A gateway that meters over one WebSocket and reconnects when it breaks. It never sends a call twice. */
export class Gateway {
  readonly #client: Client
  readonly #unanswered = new Set<() => void>()

  /** `url` is called for each connection. */
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
      // Without this the client would resend calls in flight, which may have been counted.
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
