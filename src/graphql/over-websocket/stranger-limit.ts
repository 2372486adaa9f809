import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { fixedLimits } from '../../limits.ts'

const { strangersMessageBytes } = fixedLimits

/**
 * Bounds the messages of a client that has not sent a valid token, while they arrive: fragments and unfinished frames
 * count. ws has one limit for all WebSockets of a server and no way to change that of one. So this counts what arrives
 * on the TCP connection, and takes off the messages that ws has delivered. A client may exceed the limit by the one
 * chunk, of 64 KB at most, that Node.js reads at once.
 */
export class StrangerLimit {
  readonly #socket: WebSocket
  readonly #tcp: Socket
  readonly #onExceeded: () => void
  /** Bytes that have arrived, less those of complete frames. */
  #pendingBytes = 0

  /** To be created before anything else listens for messages, so that none that is too large is handled. */
  constructor(socket: WebSocket, tcp: Socket, onExceeded: () => void) {
    this.#socket = socket
    this.#tcp = tcp
    this.#onExceeded = onExceeded
    // ws listens already, and has emitted the messages of a chunk when it is counted.
    tcp.on('data', this.#onData)
    socket.on('message', this.#onMessage)
    socket.on('ping', this.#onFrame)
    socket.on('pong', this.#onFrame)
  }

  /** Counts no more: the client has proved who it is. */
  lift(): void {
    this.#tcp.off('data', this.#onData)
    this.#socket.off('message', this.#onMessage)
    this.#socket.off('ping', this.#onFrame)
    this.#socket.off('pong', this.#onFrame)
  }

  readonly #onData = ({ length }: Buffer) => {
    this.#pendingBytes += length
    if (this.#pendingBytes > strangersMessageBytes + frameHeaderBytes(strangersMessageBytes)) this.#exceeded()
  }

  readonly #onMessage = (data: Buffer) => {
    this.#onFrame(data)
    if (data.length > strangersMessageBytes) this.#exceeded()
  }

  readonly #onFrame = ({ length }: Buffer) => {
    this.#pendingBytes -= length + frameHeaderBytes(length)
  }

  #exceeded(): void {
    this.lift()
    this.#onExceeded()
  }
}

/** The bytes in front of a client's payload (RFC 6455, 5.2): two, a mask of four, and lengths from 126 in two or eight. */
function frameHeaderBytes(payloadBytes: number): number {
  if (payloadBytes < 126) return 6
  return payloadBytes < 65_536 ? 8 : 14
}
