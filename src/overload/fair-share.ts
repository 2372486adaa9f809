export interface FairShareOptions {
  /** Operations that are executed at the same time. */
  operations: number
  operationsPerOwner: number
  /** Database connections for everything but metering. */
  connections: number
  connectionsPerOwner: number
  /** The work that is done in one turn of the event loop, in fields resolved. */
  workPerTurn: number
}

/**
 * Shares what is scarce fairly among owners, whatever each of them asks for. An owner is an account, or a token without
 * one. Owners with waiting work are served one after the other; the work of one owner is served in its order.
 *
 *   operation ──(a slot is free)──▶ executes ──┬──▶ statement ──(a connection is free)──▶ runs in the database
 *                                              └──▶ turn ──(the owner is next)──▶ runs on the event loop
 *
 * An operation waits for statements and turns while it holds its slot, and neither of these waits for an operation, so
 * there is no deadlock. Metering does not pass through here: it never waits for customers.
 */
export class FairShare {
  readonly #operations: FairSlots
  readonly #connections: FairSlots
  readonly #workPerTurn: number
  readonly #work = new RoundRobin<Work>()
  #isTurnScheduled = false

  constructor(options: FairShareOptions) {
    this.#operations = new FairSlots(options.operations, options.operationsPerOwner)
    this.#connections = new FairSlots(options.connections, options.connectionsPerOwner)
    this.#workPerTurn = options.workPerTurn
  }

  /** Operations that wait for a slot: of all owners, or of one. */
  waitingOperations(owner?: string): number {
    return this.#operations.waiting(owner)
  }

  /** Executes an operation as soon as a slot is free. */
  operation<T>(owner: string, run: () => Promise<T> | T): Promise<T> {
    return this.#operations.use(owner, run)
  }

  /** Runs a statement as soon as a database connection is free. */
  statement<T>(owner: string, run: () => Promise<T>): Promise<T> {
    return this.#connections.use(owner, run)
  }

  /**
   * Resolves in a later turn of the event loop, when the owner may use it.
   * @param weight how long it will be used, in fields resolved
   */
  turn(owner: string, weight: number): Promise<void> {
    return new Promise((begin) => {
      this.#work.add(owner, { begin, weight })
      this.#scheduleTurn()
    })
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    setImmediate(() => {
      this.#isTurnScheduled = false
      let left = this.#workPerTurn
      while (left > 0) {
        const next = this.#work.take()
        if (!next) return
        left -= next.weight
        next.begin()
      }
      if (this.#work.size > 0) this.#scheduleTurn()
    })
  }
}

interface Work {
  begin: () => void
  weight: number
}

/** A number of slots, of which each owner may hold a share. */
class FairSlots {
  readonly #perOwner: number
  readonly #waiting = new RoundRobin<() => void>()
  readonly #held = new Map<string, number>()
  #free: number

  constructor(slots: number, perOwner: number) {
    this.#free = slots
    this.#perOwner = perOwner
  }

  waiting(owner?: string): number {
    return owner === undefined ? this.#waiting.size : this.#waiting.sizeOf(owner)
  }

  async use<T>(owner: string, run: () => Promise<T> | T): Promise<T> {
    if (this.#free > 0 && this.#mayHold(owner)) this.#hold(owner)
    else await new Promise<void>((begin) => this.#waiting.add(owner, begin))
    try {
      return await run()
    } finally {
      this.#release(owner)
    }
  }

  #mayHold = (owner: string): boolean => (this.#held.get(owner) ?? 0) < this.#perOwner

  #hold(owner: string): void {
    this.#free--
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + 1)
  }

  #release(owner: string): void {
    this.#free++
    const left = (this.#held.get(owner) ?? 0) - 1
    if (left > 0) this.#held.set(owner, left)
    else this.#held.delete(owner)
    while (this.#free > 0) {
      const next = this.#waiting.takeFrom(this.#mayHold)
      if (!next) return
      this.#hold(next.owner)
      next.item()
    }
  }
}

/** First in, first out for each owner, and the owners one after the other. */
class RoundRobin<T> {
  /** In the order in which the owners are served. None is empty. */
  readonly #queues = new Map<string, T[]>()
  #size = 0

  get size(): number {
    return this.#size
  }

  sizeOf(owner: string): number {
    return this.#queues.get(owner)?.length ?? 0
  }

  add(owner: string, item: T): void {
    const queue = this.#queues.get(owner)
    if (queue) queue.push(item)
    else this.#queues.set(owner, [item])
    this.#size++
  }

  take(): T | undefined {
    return this.takeFrom(() => true)?.item
  }

  /** The next item of the first owner that may be served. That owner then comes last. */
  takeFrom(mayServe: (owner: string) => boolean): { owner: string; item: T } | undefined {
    for (const [owner, queue] of this.#queues) {
      if (!mayServe(owner)) continue
      const item = queue.shift() as T
      this.#size--
      this.#queues.delete(owner)
      if (queue.length > 0) this.#queues.set(owner, queue)
      return { owner, item }
    }
    return undefined
  }
}
