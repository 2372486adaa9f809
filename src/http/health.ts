import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../log.ts'
import { sendJson } from './respond.ts'

export interface HealthOptions {
  /** Resolves when the server can do what it is for: meter calls and verify tokens. */
  check: () => Promise<unknown>
  log: Logger
  /** Milliseconds from any fixed point. */
  elapsed: () => number
}

/** A result of the check is used for this long, however many ask. */
const checkedForMs = 1_000

/** `/health`: the process is alive. */
export function serveHealth(_request: IncomingMessage, response: ServerResponse): void {
  sendJson(response, 200, { status: 'alive' })
}

/** `/ready`: whether a load balancer should send requests here. */
export class Readiness {
  readonly #options: HealthOptions
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #outcome: Promise<boolean> = Promise.resolve(false)
  #stopping = false

  constructor(options: HealthOptions) {
    this.#options = options
  }

  /** From now on `/ready` answers 503, so that load balancers stop sending requests. */
  announceStop(): void {
    this.#stopping = true
  }

  serve = async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (this.#stopping) return sendJson(response, 503, { status: 'the server is stopping' })
    if (await this.#isReady()) return sendJson(response, 200, { status: 'ready' })
    sendJson(response, 503, { status: 'the database or the token issuer does not answer' })
  }

  /** Requests that arrive while a check is under way share it. */
  #isReady(): Promise<boolean> {
    const { elapsed, check, log } = this.#options
    if (elapsed() - this.#checkedAtMs < checkedForMs) return this.#outcome
    this.#checkedAtMs = Number.POSITIVE_INFINITY
    this.#outcome = check()
      .then(
        () => true,
        (err) => {
          log.warn({ err }, 'not ready')
          return false
        },
      )
      .finally(() => {
        this.#checkedAtMs = elapsed()
      })
    return this.#outcome
  }
}
