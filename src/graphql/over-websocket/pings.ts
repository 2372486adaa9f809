import type { WebSocket } from 'ws'

/**
 * Pings a client, one ping at a time. Besides showing whether the client is still there, a pong measures the backlog:
 * what a client has sent and the server has not read yet waits in buffers of both operating systems, where nobody sees
 * how much it is, and the pong waits behind all of it.
 */
export class Pings {
  readonly #socket: WebSocket
  #sentAtMs: number | undefined
  /** Whether a pong has arrived since this was last set to false. */
  isAnswered = true
  /** How long the last pong took. */
  roundTripMs = 0

  constructor(socket: WebSocket, onPong: () => void) {
    this.#socket = socket
    socket.on('pong', () => {
      this.isAnswered = true
      this.roundTripMs = this.waitingMs
      this.#sentAtMs = undefined
      onPong()
    })
  }

  /** How long the pong has been due; 0 where none is. */
  get waitingMs(): number {
    return this.#sentAtMs === undefined ? 0 : performance.now() - this.#sentAtMs
  }

  /** Does nothing while a pong is due. */
  send(): void {
    if (this.#sentAtMs !== undefined) return
    this.#sentAtMs = performance.now()
    this.#socket.ping()
  }
}
