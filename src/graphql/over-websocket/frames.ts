import type { Socket } from 'node:net'
import type { UnsentBytes } from '../../http/unsent.ts'

/**
 * Sends what is written in one turn of the event loop in one system call per connection: the responses to a batch of
 * calls, and each with the message that it is complete. What the operating system does not take, because the client does
 * not read, counts as unsent.
 */
export class Frames {
  readonly #corked = new Set<Socket>()
  readonly #unsent: Pick<UnsentBytes, 'watch'>

  constructor(unsent: Pick<UnsentBytes, 'watch'>) {
    this.#unsent = unsent
  }

  /** Holds back what is written to a connection until the end of this turn. */
  holdBack(connection: Socket): void {
    if (this.#corked.has(connection)) return
    if (this.#corked.size === 0) setImmediate(() => this.#send())
    this.#corked.add(connection)
    connection.cork()
  }

  #send(): void {
    for (const connection of this.#corked) {
      connection.uncork()
      if (connection.writableLength > 0) this.#unsent.watch(connection)
    }
    this.#corked.clear()
  }
}
