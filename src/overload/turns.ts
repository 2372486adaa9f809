import { RoundRobin } from './round-robin.ts'

interface Work {
  begin: () => void
  weight: number
}

/**
 * Lets a bounded amount of work be done in one turn of the event loop, and the rest in the following turns. Owners are
 * served one after the other, so that one with thousands of requests does not delay the others'.
 *
 * libuv polls up to 1,024 events at a time, and goes on polling while there are that many: without turns, clients that
 * send their next request as soon as they are answered starve timers and the meter's commits for seconds.
 */
export class Turns<Owner> {
  readonly #perTurn: number
  readonly #waiting = new RoundRobin<Owner, Work>()
  /** What may still be done in this turn. */
  #left: number
  #isScheduled = false

  /** @param perTurn how much work may begin in one turn, in the unit of the weights */
  constructor(perTurn: number) {
    this.#perTurn = perTurn
    this.#left = perTurn
  }

  /** What to await before the work begins, in a later turn; undefined where it may be done at once. */
  take(owner: Owner, weight = 1): Promise<void> | undefined {
    this.#schedule()
    if (this.#left > 0 && this.#waiting.size === 0) {
      this.#left -= weight
      return undefined
    }
    return new Promise((begin) => this.#waiting.add(owner, { begin, weight }))
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#left = this.#perTurn
      if (this.#waiting.size === 0) return
      this.#schedule()
      this.#serve()
    })
  }

  #serve(): void {
    while (this.#left > 0) {
      const next = this.#waiting.take()
      if (!next) return
      this.#left -= next.item.weight
      next.item.begin()
    }
  }
}
