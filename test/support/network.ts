import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** The network between Latchkey and a server, to be cut, frozen and slowed down. */
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

  /** A way to a port of this machine. */
  static async to(target: number): Promise<Network> {
    const network = new Network(target)
    await network.mend()
    return network
  }

  /** Every connection breaks, and new ones are refused. */
  async cut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#breakConnections()
    if (!server) return
    server.close()
    await once(server, 'close')
  }

  /** Connections are taken again. */
  async mend(): Promise<void> {
    if (this.#server) return
    const server = createServer({ allowHalfOpen: true }, (near) => this.#carry(near))
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.port = (server.address() as { port: number }).port
  }

  /** Nothing comes through any more, in either direction, and nobody is told. */
  freeze(): void {
    this.#frozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** What was sent meanwhile comes through after all. */
  thaw(): void {
    this.#frozen = false
    for (const socket of this.#sockets) socket.resume()
  }

  /** What is sent arrives, and what is answered does not. */
  loseAnswers(): void {
    this.#losesAnswers = true
  }

  /** What was sent meanwhile is lost, with the connections that it was sent over. */
  thawWithLosses(): void {
    this.#frozen = false
    this.#losesAnswers = false
    this.#breakConnections()
  }

  /** Everything takes this much longer in each direction. */
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
        // Who is behind a network that has frozen does not learn that the other side has gone.
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
