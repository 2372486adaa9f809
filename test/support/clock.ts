import { type Clock, createSystemClock } from '../../src/clock.ts'
import { Random } from './random.ts'

/** By how much timers are early and late in tests, in milliseconds. Node.js fires them up to 1 ms early. */
const earliestMs = 1
const latestMs = 4

/**
 * The system's clock, except that a test can set it, and that it runs on from there. Like the system's, it notices
 * within a second that it was set. Its timers are early or late by a random time, which `seed` determines.
 */
export class TestClock implements Clock {
  #offsetMs = 0
  #frozen: Date | undefined
  readonly #clock: Clock
  readonly #haste: number

  /** @param haste divides the waits of `after` */
  constructor(start?: Date, haste = 1, seed = 1) {
    const random = new Random(seed)
    this.#haste = haste
    this.#clock = createSystemClock({
      wallMs: () => Date.now() + this.#offsetMs,
      startTimer(waitMs, callback) {
        const jitterMs = random.int(-earliestMs, latestMs)
        const timer = setTimeout(callback, Math.max(0, waitMs + jitterMs)).unref()
        return () => clearTimeout(timer)
      },
    })
    if (start) this.set(start)
  }

  now(): Date {
    return this.#frozen ?? this.#clock.now()
  }

  /** Stops at an instant. Timers run on. */
  freeze(instant: Date): void {
    this.#frozen = instant
  }

  /** Runs on from an instant. */
  unfreeze(instant: Date): void {
    this.#frozen = undefined
    this.set(instant)
  }

  /** Sets the current time. */
  set(instant: Date): void {
    this.#offsetMs = instant.getTime() - Date.now()
  }

  at(instant: Date, callback: () => void): () => void {
    return this.#clock.at(instant, callback)
  }

  after(waitMs: number, callback: () => void): () => void {
    return this.#clock.after(waitMs / this.#haste, callback)
  }
}
