import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** The server's TCP connections, and the requests in flight on each. */
export class Connections {
  /** The number of requests in flight, by connection. */
  readonly #open = new Map<Duplex, number>()
  #requests = 0

  /** Requests in flight on all connections. */
  get requests(): number {
    return this.#requests
  }

  /** Whether a request that arrived on this connection has not been answered yet. */
  isBusy(socket: Duplex): boolean {
    return (this.#open.get(socket) ?? 0) > 0
  }

  /** A connection that is read afresh after an ignored upgrade is added again, without effect. */
  add(socket: Duplex): void {
    if (this.#open.has(socket)) return
    this.#open.set(socket, 0)
    socket.once('close', () => this.#open.delete(socket))
  }

  /** Counts a request until its response is closed. */
  begin(response: ServerResponse): void {
    const { socket } = response.req
    this.#requests++
    this.#open.set(socket, (this.#open.get(socket) ?? 0) + 1)
    response.once('close', () => {
      this.#requests--
      const left = this.#open.get(socket)
      if (left !== undefined) this.#open.set(socket, left - 1)
    })
  }

  /** Closes connections that browsers opened in advance and never used. Node.js takes them for busy. */
  closeUnused(): void {
    for (const socket of this.#open.keys())
      if ('bytesRead' in socket && socket.bytesRead === 0) socket.destroy()
  }
}
