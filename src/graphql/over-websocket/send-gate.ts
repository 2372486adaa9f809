import type { EventGate } from '../event-stream.ts'

/**
 * Lets the events of a WebSocket's subscriptions pass one at a time, in order, and none while the client does not read.
 * Without it, each of its subscriptions would add an event to what the client has not read.
 */
export class SendGate implements EventGate {
  readonly #mayWrite: () => boolean
  /** Those who wait, after the one who has passed. */
  readonly #visits = new Set<{ pass: () => void }>()
  #passed: { pass: () => void } | undefined

  /** @param mayWrite whether the WebSocket may be written to; `proceed` says that it may again */
  constructor(mayWrite: () => boolean) {
    this.#mayWrite = mayWrite
  }

  enter(pass: () => void): () => void {
    const visit = { pass }
    this.#visits.add(visit)
    this.proceed()
    return () => {
      if (this.#passed === visit) this.#passed = undefined
      // Whoever waits and leaves finds out that it is over.
      else if (this.#visits.delete(visit)) pass()
      this.proceed()
    }
  }

  /** Lets the next event pass if it may. */
  proceed(): void {
    if (this.#passed || !this.#mayWrite()) return
    const [next] = this.#visits
    if (!next) return
    this.#visits.delete(next)
    this.#passed = next
    next.pass()
  }
}
