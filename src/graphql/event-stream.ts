import type { ExecutionResult } from 'graphql'

/** Executes an event, unless the subscription is over by the time that it may be executed. */
type Execute = (event: unknown, isOver: () => boolean) => ExecutionResult | Promise<ExecutionResult>

/** Lets the events of one connection pass while it may be written to, one at a time. */
export interface EventGate {
  /**
   * Calls `pass` when an event may be executed, which may be at once.
   * @returns what to call when the event was sent, or is not to be any more
   */
  enter(pass: () => void): () => void
}

/**
 * The results of a subscription, one for each event of its source. An event is executed when it has passed the gate of
 * its connection, and leaves the gate when the next one is asked for: its result has been sent by then.
 */
export class EventStream implements AsyncIterableIterator<ExecutionResult, void, void> {
  readonly #source: AsyncIterator<unknown>
  readonly #execute: Execute
  readonly #gate: EventGate | undefined
  #leaveGate = () => {}
  #isOver = false

  constructor(source: AsyncIterable<unknown>, execute: Execute, gate: EventGate | undefined) {
    this.#source = source[Symbol.asyncIterator]()
    this.#execute = execute
    this.#gate = gate
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    this.#leaveGate()
    const { done, value } = await this.#source.next()
    if (done) return { done, value: undefined }
    const gate = this.#gate
    if (gate)
      await new Promise<void>((pass) => {
        this.#leaveGate = gate.enter(pass)
      })
    if (this.#isOver) return { done: true, value: undefined }
    try {
      const result = await this.#execute(value, () => this.#isOver)
      return this.#isOver ? { done: true, value: undefined } : { done: false, value: result }
    } catch (error) {
      await this.return()
      throw error
    }
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    this.#isOver = true
    this.#leaveGate()
    await this.#source.return?.()
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<never> {
    await this.return()
    throw error
  }
}
