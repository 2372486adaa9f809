import { RecentUse } from './recent-use.ts'
import { RoundRobin } from './round-robin.ts'

export interface FairShareOptions {
  /** Operations that are executed at the same time. */
  operations: number
  operationsPerOwner: number
  /** Database connections for everything but metering. */
  connections: number
  connectionsPerOwner: number
  /** The work that is done in one turn of the event loop, in fields resolved. */
  workPerTurn: number
  /** How long a statement takes, in fields resolved. */
  statementWork: number
  /** Monotonic, in milliseconds. */
  now?: () => number
}

/** How often those that make way for others ask again. */
const recheckMs = 20

/**
 * Shares what is scarce fairly among owners, whatever each of them asks for. An owner is an account, or a token without
 * one. Owners with waiting work are served one after the other; the work of one owner is served in its order. An owner
 * that has used more than another lately makes way while the other's operation is under way.
 *
 *   operation ──(a slot is free)──▶ executes ──┬──▶ statement ──(a connection is free)──▶ runs in the database
 *                                              └──▶ turn ──(the owner is next)──▶ runs on the event loop
 *
 * An operation waits for statements and turns while it holds its slot, and neither of these waits for an operation, so
 * there is no deadlock. Metering does not pass through here: it never waits for customers.
 */
export class FairShare {
  readonly #options: FairShareOptions
  readonly #now: () => number
  readonly #operations: FairSlots
  readonly #connections: FairSlots
  readonly #use = new RecentUse()
  readonly #work = new RoundRobin<string, Work>()
  /** What may still be done in this turn. */
  #workLeft: number
  #isTurnScheduled = false
  #recheck: NodeJS.Timeout | undefined

  constructor(options: FairShareOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#operations = new FairSlots(options.operations, options.operationsPerOwner)
    this.#connections = new FairSlots(options.connections, options.connectionsPerOwner, () => this.#mayGoOn())
    this.#workLeft = options.workPerTurn
  }

  /** Executes an operation as soon as a slot is free. */
  operation<T>(owner: string, run: () => Promise<T> | T): Promise<T> {
    return this.#inUse(owner, this.#operations.use(owner, run))
  }

  /** Runs a statement as soon as a database connection is free. It must not wait for another one. */
  statement<T>(owner: string, run: () => Promise<T>): Promise<T> {
    const statement = this.#inUse(owner, this.#connections.use(owner, run))
    this.#use.add(owner, this.#options.statementWork, this.#now())
    this.#recheckLater()
    return statement
  }

  /**
   * Asks for a part of a turn of the event loop.
   * @param weight how long it will be used, in fields resolved
   * @returns undefined where the work may be done at once; otherwise a promise that resolves in a later turn, when the
   * owner may use it
   */
  turn(owner: string, weight: number): Promise<void> | undefined {
    this.#scheduleTurn()
    const mayGoOn = this.#mayGoOn()
    const mayBegin = this.#workLeft > 0 && mayGoOn(owner) && !this.#work.holdsOneFrom(mayGoOn)
    this.#use.add(owner, weight, this.#now())
    if (!mayBegin) return new Promise((begin) => this.#work.add(owner, { begin, weight }))
    this.#workLeft -= weight
  }

  /** How many owners it remembers. */
  get knownOwners(): number {
    return this.#use.size
  }

  /** What one owner may use. */
  of(owner: string): OwnersShare {
    return new OwnersShare(this, owner)
  }

  /** Notes that the owner waits for something, or uses it, until the promise is settled. */
  async #inUse<T>(owner: string, result: Promise<T>): Promise<T> {
    this.#use.begin(owner, this.#now())
    try {
      return await result
    } finally {
      this.#use.end(owner)
      this.#goOn()
    }
  }

  /** Says of any owner whether it may go on, or must make way for another one at this moment. */
  #mayGoOn(): (owner: string) => boolean {
    const mustYield = this.#use.mustYieldAt(this.#now())
    return (owner) => !mustYield(owner)
  }

  /** Serves those that made way, as far as they need not any more. */
  #goOn(): void {
    this.#connections.serve()
    if (this.#work.size > 0) this.#scheduleTurn()
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return
    this.#isTurnScheduled = true
    setImmediate(() => this.#takeTurn())
  }

  #takeTurn(): void {
    this.#isTurnScheduled = false
    this.#workLeft = this.#options.workPerTurn
    const mayGoOn = this.#mayGoOn()
    while (this.#workLeft > 0) {
      const next = this.#work.take(mayGoOn)
      // Those that wait make way for somebody, and go on when that operation ends.
      if (!next) {
        this.#recheckLater()
        return
      }
      this.#workLeft -= next.item.weight
      next.item.begin()
    }
    if (this.#work.size > 0) this.#scheduleTurn()
  }

  /** An operation that is made way for may last longer than anybody makes way for it. */
  #recheckLater(): void {
    if (this.#recheck !== undefined || this.#work.size + this.#connections.waiting === 0) return
    this.#recheck = setTimeout(() => {
      this.#recheck = undefined
      this.#goOn()
      this.#recheckLater()
    }, recheckMs).unref()
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

interface Work {
  begin: () => void
  weight: number
}

/** A number of slots, of which each owner may hold a share. */
class FairSlots {
  readonly #perOwner: number
  /** Says of any owner, at this moment, whether it may have another slot if there is one. */
  readonly #mayGoOn: () => (owner: string) => boolean
  readonly #queue = new RoundRobin<string, () => void>()
  readonly #held = new Map<string, number>()
  #free: number

  constructor(slots: number, perOwner: number, mayGoOn: () => (owner: string) => boolean = () => () => true) {
    this.#free = slots
    this.#perOwner = perOwner
    this.#mayGoOn = mayGoOn
  }

  get waiting(): number {
    return this.#queue.size
  }

  async use<T>(owner: string, run: () => Promise<T> | T): Promise<T> {
    if (this.#free > 0 && this.#hasRoom(owner) && this.#mayGoOn()(owner)) this.#hold(owner)
    else await new Promise<void>((begin) => this.#queue.add(owner, begin))
    try {
      return await run()
    } finally {
      this.#release(owner)
      this.serve()
    }
  }

  /** Gives free slots to those that wait and may have them. */
  serve(): void {
    if (this.#free === 0 || this.#queue.size === 0) return
    const mayGoOn = this.#mayGoOn()
    while (this.#free > 0) {
      const next = this.#queue.take((owner) => this.#hasRoom(owner) && mayGoOn(owner))
      if (!next) return
      this.#hold(next.owner)
      next.item()
    }
  }

  #hasRoom(owner: string): boolean {
    return (this.#held.get(owner) ?? 0) < this.#perOwner
  }

  #hold(owner: string): void {
    this.#free--
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + 1)
  }

  #release(owner: string): void {
    this.#free++
    const left = (this.#held.get(owner) ?? 0) - 1
    if (left > 0) this.#held.set(owner, left)
    else this.#held.delete(owner)
  }
}
