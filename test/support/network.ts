import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** A proxy between Latchkey and another server that can be cut, frozen and slowed down. */
export class Network {
  port = 0
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #frozen = false
  #losesAnswers = false
  #delayMs = 0

  private constructor(target: number) {
    this.#target = target
  }

  /** Starts a proxy to a port of this machine. */
  static async to(target: number): Promise<Network> {
    const network = new Network(target)
    await network.mend()
    return network
  }

  /** Breaks every connection, and refuses new ones. */
  async cut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#breakConnections()
    if (!server) return
    server.close()
    await once(server, 'close')
  }

  /** Accepts connections again. */
  async mend(): Promise<void> {
    if (this.#server) return
    const server = createServer({ allowHalfOpen: true }, (near) => this.#carry(near))
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.port = (server.address() as { port: number }).port
  }

  /** Delivers nothing any more, in either direction, without closing anything. */
  freeze(): void {
    this.#frozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** Delivers what was sent meanwhile. */
  thaw(): void {
    this.#frozen = false
    for (const socket of this.#sockets) socket.resume()
  }

  /** Delivers requests, and drops the answers. */
  loseAnswers(): void {
    this.#losesAnswers = true
  }

  /** Works again, but what was sent meanwhile is lost together with its connections. */
  thawWithLosses(): void {
    this.#frozen = false
    this.#losesAnswers = false
    this.#breakConnections()
  }

  /** Delays everything by this much in each direction. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  #breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  #carry(near: Socket): void {
    const far = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (bytes) => {
        if (from === near || !this.#losesAnswers) this.#later(() => to.write(bytes))
      })
      from.on('end', () => this.#later(() => to.end()))
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        // A frozen network does not deliver the end of a connection either.
        if (!this.#frozen) this.#later(() => to.destroy())
      })
      if (this.#frozen) from.pause()
    }
  }

  #later(pass: () => void): void {
    if (this.#delayMs === 0) pass()
    else setTimeout(pass, this.#delayMs)
  }
}
