import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Limits } from '../limits.ts'

/** How often the unsent bytes are added up. */
const checkEveryMs = 100

interface Backlog {
  socket: Socket
  bytes: number
  owner: string | undefined
}

/**
 * Bounds what the server holds of responses, event streams and WebSocket messages that their clients have not read: in
 * total and per account. Beyond, the connections that hold the most are closed.
 */
export class UnsentBytes {
  readonly #limits: Pick<Limits, 'unsentResponseBytes' | 'unsentResponseBytesPerAccount'>
  readonly #inFlight = new Set<ServerResponse>()
  /** Other connections that hold something unsent. */
  readonly #behind = new Set<Socket>()
  readonly #owners = new WeakMap<Socket, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: Pick<Limits, 'unsentResponseBytes' | 'unsentResponseBytesPerAccount'>) {
    this.#limits = limits
  }

  /** Watches a response until it is closed. */
  add(response: ServerResponse): void {
    this.#inFlight.add(response)
    this.#start()
    response.once('close', () => this.#inFlight.delete(response))
  }

  /** Watches a connection without responses until everything that was written to it is sent. */
  watch(connection: Socket): void {
    this.#behind.add(connection)
    this.#start()
  }

  /** The account that what is written to this connection is for, by its external id. */
  attribute(socket: Socket, account: string | undefined): void {
    if (account !== undefined && this.#owners.get(socket) !== account) this.#owners.set(socket, account)
  }

  #start(): void {
    this.#timer ??= setInterval(() => this.#check(), checkEveryMs).unref()
  }

  #check(): void {
    if (this.#inFlight.size === 0 && this.#behind.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    const backlogs = this.#backlogs()
    const { unsentResponseBytes, unsentResponseBytesPerAccount } = this.#limits
    const byOwner = new Map<string, Backlog[]>()
    for (const backlog of backlogs) {
      if (backlog.owner === undefined) continue
      const others = byOwner.get(backlog.owner)
      if (others) others.push(backlog)
      else byOwner.set(backlog.owner, [backlog])
    }
    for (const ofOwner of byOwner.values()) closeLargest(ofOwner, unsentResponseBytesPerAccount)
    closeLargest(backlogs, unsentResponseBytes)
  }

  /** The connections with unsent bytes. */
  #backlogs(): Backlog[] {
    const backlogs = new Map<Socket, Backlog>()
    for (const response of this.#inFlight) {
      const bytes = response.writableLength
      if (bytes === 0) continue
      const { socket } = response.req
      const backlog = backlogs.get(socket)
      if (backlog) backlog.bytes += bytes
      else backlogs.set(socket, { socket, bytes, owner: this.#owners.get(socket) })
    }
    for (const socket of this.#behind) {
      const bytes = socket.destroyed ? 0 : socket.writableLength
      if (bytes === 0) this.#behind.delete(socket)
      else backlogs.set(socket, { socket, bytes, owner: this.#owners.get(socket) })
    }
    return [...backlogs.values()]
  }
}

/** Closes connections, those that hold the most first, until the others are within the limit. */
function closeLargest(backlogs: Backlog[], limit: number): void {
  let total = 0
  for (const { socket, bytes } of backlogs) if (!socket.destroyed) total += bytes
  if (total <= limit) return
  for (const { socket, bytes } of backlogs.sort((a, b) => b.bytes - a.bytes)) {
    if (socket.destroyed) continue
    socket.destroy()
    total -= bytes
    if (total <= limit) return
  }
}
