import type { WebSocket } from 'ws'

/**
 * Pings a client, one ping at a time. Besides showing whether the client is still there, a pong measures the backlog:
 * messages that the client has sent and the server has not read wait in both operating systems' buffers, whose fill
 * level is not visible, and the pong waits behind them.
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
