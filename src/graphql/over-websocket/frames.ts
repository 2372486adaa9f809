import type { Socket } from 'node:net'

/**
 * Sends what is written in one turn of the event loop in one system call per connection: the responses to a batch of
 * calls, and each with the message that it is complete.
 */
export class Frames {
  readonly #corked = new Set<Socket>()

  /** Holds back what is written to a connection until the end of this turn. */
  holdBack(connection: Socket): void {
    if (this.#corked.has(connection)) return
    if (this.#corked.size === 0) setImmediate(() => this.#send())
    this.#corked.add(connection)
    connection.cork()
  }

  #send(): void {
    for (const connection of this.#corked) connection.uncork()
    this.#corked.clear()
  }
}
