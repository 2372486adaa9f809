import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { fixedLimits } from '../limits.ts'

const { requestsPerConnection, pipelinedRequests } = fixedLimits

/** The server's TCP connections, and the requests in flight on each. */
export class Connections {
  /** The responses that are due, by connection. */
  readonly #open = new Map<Duplex, Set<ServerResponse>>()
  readonly #maxRequests: number
  #requests = 0

  constructor(maxRequests: number) {
    this.#maxRequests = maxRequests
  }

  /** Requests in flight on all connections. */
  get requests(): number {
    return this.#requests
  }

  /** Whether a request that arrived on this connection has not been answered yet. */
  isBusy(socket: Duplex): boolean {
    return this.#inFlightOn(socket) > 0
  }

  /** A connection that is read afresh after an ignored upgrade is added again, without effect. */
  add(socket: Duplex): void {
    if (this.#open.has(socket)) return
    const due = new Set<ServerResponse>()
    this.#open.set(socket, due)
    socket.once('close', () => {
      this.#open.delete(socket)
      // Node.js closes the first response of a connection, and forgets those that wait behind it.
      for (const response of due) {
        response.destroy()
        response.emit('close')
      }
    })
    // Node.js resumes a connection whenever a body is to be read or a response has been sent.
    socket.on('resume', () => {
      if (this.#inFlightOn(socket) >= requestsPerConnection) socket.pause()
    })
  }

  /**
   * Counts a request until its response is closed. A connection with `requestsPerConnection` in flight is not read from.
   * What was read together with the last of them goes on, up to `pipelinedRequests`, and unless the whole server has
   * `maxRequests` in flight: then the connection is closed. No client pipelines that many.
   */
  begin(response: ServerResponse): void {
    const { socket } = response.req
    const due = this.#open.get(socket)
    // The connection was closed while what it had sent was still being parsed.
    if (!due) return
    due.add(response)
    this.#requests++
    response.once('close', () => {
      this.#requests--
      due.delete(response)
      if (due.size === requestsPerConnection - 1) socket.resume()
    })
    if (due.size < requestsPerConnection) return
    socket.pause()
    if (due.size >= pipelinedRequests || this.#requests > this.#maxRequests) socket.destroy()
  }

  /** Closes connections that browsers opened in advance and never used. Node.js takes them for busy. */
  closeUnused(): void {
    for (const socket of this.#open.keys())
      if ('bytesRead' in socket && socket.bytesRead === 0) socket.destroy()
  }

  #inFlightOn(socket: Duplex): number {
    return this.#open.get(socket)?.size ?? 0
  }
}
