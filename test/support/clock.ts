import { type Clock, systemClock } from '../../src/clock.ts'

/**
 * A clock that a test can set, and that runs on from there. Setting it beyond a timer fires the timer.
 */
export class TestClock implements Clock {
  #offsetMs = 0
  readonly #rearms = new Set<() => void>()
  readonly #haste: number

  /** @param haste divides the waits of `after` */
  constructor(start?: Date, haste = 1) {
    this.#haste = haste
    if (start) this.set(start)
  }

  now(): Date {
    return new Date(Date.now() + this.#offsetMs)
  }

  /** Sets the current time. */
  set(instant: Date): void {
    this.#offsetMs = instant.getTime() - Date.now()
    for (const rearm of [...this.#rearms]) rearm()
  }

  at(instant: Date, callback: () => void): () => void {
    let timer: NodeJS.Timeout
    const cancel = () => {
      clearTimeout(timer)
      this.#rearms.delete(arm)
    }
    const fire = () => {
      if (this.now() < instant) return arm()
      cancel()
      callback()
    }
    const arm = () => {
      clearTimeout(timer)
      const waitMs = Math.min(2_147_483_647, Math.max(0, instant.getTime() - this.now().getTime()))
      timer = setTimeout(fire, waitMs)
      timer.unref()
    }
    this.#rearms.add(arm)
    arm()
    return cancel
  }

  after(waitMs: number, callback: () => void): () => void {
    return systemClock.after(waitMs / this.#haste, callback)
  }
}
