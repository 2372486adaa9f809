import { RoundRobin } from './round-robin.ts'
import { Turns } from './turns.ts'

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
  readonly #turns: Turns<string>

  constructor(options: FairShareOptions) {
    this.#operations = new FairSlots(options.operations, options.operationsPerOwner)
    this.#connections = new FairSlots(options.connections, options.connectionsPerOwner)
    this.#turns = new Turns(options.workPerTurn)
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
   * Asks for a part of a turn of the event loop.
   * @param weight how long it will be used, in fields resolved
   * @returns undefined where the work may be done at once; otherwise a promise that resolves in a later turn, when the
   * owner may use it
   */
  turn(owner: string, weight: number): Promise<void> | undefined {
    return this.#turns.take(owner, weight)
  }

  /** What one owner may use. */
  of(owner: string): OwnersShare {
    return new OwnersShare(this, owner)
  }
}

/** The share of one owner. */
export class OwnersShare {
  readonly #all: FairShare
  readonly #owner: string

  constructor(all: FairShare, owner: string) {
    this.#all = all
    this.#owner = owner
  }

  /** Executes an operation as soon as a slot is free. */
  operation<T>(run: () => Promise<T> | T): Promise<T> {
    return this.#all.operation(this.#owner, run)
  }

  /** Runs a statement as soon as a database connection is free. It must not wait for another one. */
  statement<T>(run: () => Promise<T>): Promise<T> {
    return this.#all.statement(this.#owner, run)
  }

  /**
   * Asks for a part of a turn of the event loop, `weight` fields long. Undefined where the work may be done at once;
   * otherwise resolves in a later turn.
   */
  turn(weight: number): Promise<void> | undefined {
    return this.#all.turn(this.#owner, weight)
  }
}

/** A number of slots, of which each owner may hold a share. */
class FairSlots {
  readonly #perOwner: number
  readonly #waiting = new RoundRobin<string, () => void>()
  readonly #held = new Map<string, number>()
  #free: number

  constructor(slots: number, perOwner: number) {
    this.#free = slots
    this.#perOwner = perOwner
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
      const next = this.#waiting.take(this.#mayHold)
      if (!next) return
      this.#hold(next.owner)
      next.item()
    }
  }
}
