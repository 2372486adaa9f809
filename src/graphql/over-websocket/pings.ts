import type { WebSocket } from 'ws'

/**
 * Pings a client, one ping at a time. Besides showing whether the client is still there, a pong measures the backlog:
 * messages that the client has sent and the server has not read wait in both operating systems' buffers, whose fill
 * level is not visible, and the pong waits behind them. What a pong takes beyond the client's round trip is the backlog.
 */
export class Pings {
  readonly #socket: WebSocket
  #sentAtMs: number | undefined
  /** Whether a message has arrived since the ping was sent. */
  #isBusy = false
  /** What a pong takes that waits behind nothing; undefined before the first pong. */
  #roundTripMs: number | undefined
  /** What the last pong took. */
  #lastMs = 0
  /** Whether a pong has arrived since this was last set to false. */
  isAnswered = true

  constructor(socket: WebSocket, onPong: () => void) {
    this.#socket = socket
    socket.on('pong', () => {
      this.isAnswered = true
      this.#note(this.#waitingMs)
      this.#sentAtMs = undefined
      onPong()
    })
  }

  /** How long what arrives now has waited to be read, by the last pong and the one that is due. */
  get backlogMs(): number {
    return Math.max(this.#waitingMs, this.#lastMs) - (this.#roundTripMs ?? 0)
  }

  /** A message has arrived, and the pong that is due may have waited behind it. */
  noteMessage(): void {
    this.#isBusy = true
  }

  /** An idle client's pong shows its round trip. A busy client's shows at least that it is not longer. */
  #note(tookMs: number): void {
    this.#lastMs = tookMs
    const isShorter = tookMs < (this.#roundTripMs ?? Number.POSITIVE_INFINITY)
    if (isShorter || !this.#isBusy) this.#roundTripMs = tookMs
  }

  /** How long the pong has been due; 0 where none is. */
  get #waitingMs(): number {
    return this.#sentAtMs === undefined ? 0 : performance.now() - this.#sentAtMs
  }

  /** Does nothing while a pong is due. */
  send(): void {
    if (this.#sentAtMs !== undefined) return
    this.#sentAtMs = performance.now()
    this.#isBusy = false
    this.#socket.ping()
  }
}
