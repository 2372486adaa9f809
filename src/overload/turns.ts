/**
 * Lets a bounded amount of work be done in one turn of the event loop, and the rest in the following turns. Connections
 * are served one after the other, so that one that has sent thousands of requests does not delay the others'.
 *
 * libuv polls up to 1,024 events at a time, and goes on polling while there are that many: without turns, clients that
 * send their next request as soon as they are answered starve timers and the meter's commits for seconds.
 */
export class Turns {
  readonly #perTurn: number
  /** What waits on each connection, in the order in which they are served. None is empty. */
  readonly #waiting = new Map<object, Work[]>()
  #left: number
  #isScheduled = false

  /** @param perTurn how many requests of weight 1 may proceed in one turn */
  constructor(perTurn: number) {
    this.#perTurn = perTurn
    this.#left = perTurn
  }

  /** What a request awaits before it proceeds; undefined where it may proceed at once. */
  take(connection: object, weight = 1): Promise<void> | undefined {
    this.#schedule()
    if (this.#left > 0 && this.#waiting.size === 0) {
      this.#left -= weight
      return undefined
    }
    return new Promise((proceed) => {
      const work = { proceed, weight }
      const others = this.#waiting.get(connection)
      if (others) others.push(work)
      else this.#waiting.set(connection, [work])
    })
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
    // A connection that is set again comes last.
    for (const [connection, works] of this.#waiting) {
      const work = works.shift() as Work
      this.#waiting.delete(connection)
      if (works.length > 0) this.#waiting.set(connection, works)
      this.#left -= work.weight
      work.proceed()
      if (this.#left <= 0) return
    }
  }
}

interface Work {
  proceed: () => void
  weight: number
}
