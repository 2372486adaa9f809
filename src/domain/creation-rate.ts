import type { Clock } from '../clock.ts'
import { OverloadedError } from '../errors.ts'

const minuteMs = 60_000

/** Limits how many accounts the claims of tokens create per minute of the clock. */
export class CreationRate {
  readonly #clock: Clock
  readonly #most: number
  #minute = Number.NaN
  #created = 0

  constructor(clock: Clock, mostPerMinute: number) {
    this.#clock = clock
    this.#most = mostPerMinute
  }

  /**
   * Counts a creation.
   * @throws OverloadedError if this minute has had as many as are allowed
   */
  count(): void {
    const minute = Math.floor(this.#clock.now().getTime() / minuteMs)
    if (minute !== this.#minute) {
      this.#minute = minute
      this.#created = 0
    }
    if (this.#created >= this.#most)
      throw new OverloadedError('Too many accounts are being created. Try again in a minute.')
    this.#created++
  }

  /** Takes back what was counted last: the account existed. */
  takeBack(): void {
    if (this.#created > 0) this.#created--
  }
}
