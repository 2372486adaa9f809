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
 * Bounds what the server holds of responses, event streams included, that their clients have not read: in total and per
 * account. Beyond, the connections that hold the most are closed.
 */
export class UnsentResponses {
  readonly #limits: Pick<Limits, 'unsentResponseBytes' | 'unsentResponseBytesPerAccount'>
  readonly #inFlight = new Set<ServerResponse>()
  readonly #owners = new WeakMap<Socket, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: Pick<Limits, 'unsentResponseBytes' | 'unsentResponseBytesPerAccount'>) {
    this.#limits = limits
  }

  /** Watches a response until it is closed. */
  add(response: ServerResponse): void {
    this.#inFlight.add(response)
    this.#timer ??= setInterval(() => this.#check(), checkEveryMs).unref()
    response.once('close', () => this.#inFlight.delete(response))
  }

  /** The account that the responses on this connection are for, by its external id. */
  attribute({ req: { socket } }: ServerResponse, account: string | undefined): void {
    if (account !== undefined && this.#owners.get(socket) !== account) this.#owners.set(socket, account)
  }

  #check(): void {
    if (this.#inFlight.size === 0) {
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
