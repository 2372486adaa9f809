import type { Clock } from '../clock.ts'

export interface RetryOptions {
  /** The first delay, in milliseconds; each further one is twice as long. */
  minMs: number
  maxMs: number
}

/**
 * Delays a retry, for longer after each failure in a row. Each delay is shortened by a random part of up to a half, so
 * that servers that failed together do not retry together.
 */
export class Retry {
  readonly #clock: Clock
  readonly #options: RetryOptions
  #failures = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, options: RetryOptions) {
    this.#clock = clock
    this.#options = options
  }

  get isScheduled(): boolean {
    return this.#cancel !== undefined
  }

  /** Calls back once, after the delay. Returns false, and does nothing, if a retry is scheduled already. */
  schedule(callback: () => void): boolean {
    if (this.#cancel) return false
    const { minMs, maxMs } = this.#options
    const delayMs = Math.min(maxMs, minMs * 2 ** this.#failures) * (1 - Math.random() / 2)
    this.#failures++
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = undefined
      callback()
    })
    return true
  }

  /** Cancels a scheduled retry and starts again from the first delay. */
  reset(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#failures = 0
  }
}
