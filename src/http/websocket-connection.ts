import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { CloseCode, MessageType, type Server, stringifyMessage } from 'graphql-ws'
import type { WebSocket } from 'ws'
import type { Logger } from '../log.ts'

export interface ConnectionOptions<Extra> {
  protocol: Server<Extra>
  socket: WebSocket
  request: IncomingMessage
  extra: Extra
  log: Logger
  /** How often the client is asked whether it is still there; it has as long to answer. */
  keepAliveMs: number
  /** What it sends may wait this long to be read. */
  maxUnreadMs: number
  /**
   * Why no operation is begun now: the payload of graphql-ws's `error` message, as JSON; undefined where they are.
   * Told whether the client is behind: it sends more than is read, and what comes now has waited for longer than it may.
   */
  refusalOf(isBehind: boolean): string | undefined
}

/** What may wait to be sent before whoever sends has to wait: a subscription then merges what changes meanwhile. */
const mostBytesWaiting = 65_536

/**
 * So many messages of one client are taken in a turn of the event loop, give or take what has been read with them.
 * Node.js would read on for as long as there is something, and all other clients would wait.
 */
const messagesPerTurn = 256

/** That a client was behind says nothing any more after this long. */
const behindForMs = 1_000

/** What a control frame of WebSocket has room for beside the code (RFC 6455, 5.5). */
const mostReasonBytes = 123

/**
 * Serves graphql-ws's protocol on one WebSocket. What is sent in one turn of the event loop goes to the
 * operating system at once: the answers to a batch of calls, and each with the message that it is complete.
 */
export function serveConnection<Extra>(options: ConnectionOptions<Extra>): void {
  const { protocol, socket, request, extra, log, keepAliveMs, maxUnreadMs, refusalOf } = options
  const pings = new Pings(socket)
  const keepAlive = setInterval(() => {
    if (!pings.answered) return socket.terminate()
    pings.answered = false
    pings.send()
  }, keepAliveMs)
  /** In this turn of the event loop. */
  let messages = 0
  let isBehind = false
  let behindUntilMs = 0
  const beginTurn = () => {
    isBehind = performance.now() < behindUntilMs
    setImmediate(endTurn)
  }
  const endTurn = () => {
    const isMore = messages >= messagesPerTurn
    const tooLate = isMore && Math.max(pings.waitingMs, pings.roundTripMs) > maxUnreadMs
    behindUntilMs = tooLate ? performance.now() + behindForMs : 0
    if (isMore) pings.send()
    messages = 0
    readOn()
  }
  const readOn = () => {
    if (socket.isPaused && messages < messagesPerTurn && socket.bufferedAmount < mostBytesWaiting)
      socket.resume()
  }
  // What is sent takes until after this turn to be gone; nothing more may be sent that would tell of it.
  request.socket.on('drain', readOn)
  const send = sender(socket, request, readOn)
  /** A reason may have a client's own words in it, and ws throws where it is too long. */
  const close = (code?: number, reason = '') =>
    socket.close(code, Buffer.byteLength(reason) > mostReasonBytes ? '' : reason)
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      send,
      close,
      onPing(payload) {
        const pong = pongOf(payload)
        return pong === undefined ? close(CloseCode.BadRequest, 'Invalid message received') : send(pong)
      },
      onMessage: (handle) =>
        socket.on('message', async (data) => {
          if (messages++ === 0) beginTurn()
          if (messages === messagesPerTurn) socket.pause()
          const text = String(data)
          const refusal = refusalOf(isBehind)
          const refusedId = refusal && operationIdOf(text)
          if (refusedId)
            return send(`{"id":${JSON.stringify(refusedId)},"type":"error","payload":${refusal}}`)
          try {
            await handle(text)
          } catch (err) {
            if (isServersMessage(err)) return socket.close(CloseCode.BadRequest, 'Invalid message received')
            log.error({ err }, 'a WebSocket message could not be handled')
            socket.close(CloseCode.InternalServerError, 'Internal server error')
          }
        }),
    },
    extra,
  )
  // A client's fault, which ws has closed the connection for.
  socket.on('error', (err) => log.debug({ err }, 'a WebSocket broke'))
  socket.once('close', (code, reason) => {
    clearInterval(keepAlive)
    void closed(code, String(reason))
  })
}

/** The id of the operation that a message begins; undefined where it begins none. */
function operationIdOf(text: string): string | undefined {
  try {
    const message = JSON.parse(text)
    return message?.type === MessageType.Subscribe && typeof message.id === 'string' ? message.id : undefined
  } catch {
    return undefined
  }
}

/** graphql-ws's word for a message of the protocol that servers send to clients, sent by a client. */
function isServersMessage(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Unexpected message of type ')
}

/** What has been sent on in this turn of the event loop. */
const corked = new Set<Socket>()

function corkForThisTurn(connection: Socket): void {
  if (corked.has(connection)) return
  if (corked.size === 0)
    setImmediate(() => {
      for (const each of corked) each.uncork()
      corked.clear()
    })
  corked.add(connection)
  connection.cork()
}

/** The answer to a ping, which gives back what came with it; undefined where that is nested too deeply to be written. */
function pongOf(payload: Record<string, unknown> | undefined): string | undefined {
  try {
    return stringifyMessage({ type: MessageType.Pong, ...(payload ? { payload } : {}) })
  } catch {
    return undefined
  }
}

function sender(socket: WebSocket, { socket: connection }: IncomingMessage, readOn: () => void) {
  return (data: string): void | Promise<void> => {
    if (socket.readyState !== socket.OPEN) return
    corkForThisTurn(connection)
    if (socket.bufferedAmount < mostBytesWaiting) return socket.send(data)
    // Who does not read its answers is not read from: else they would pile up here without end.
    socket.pause()
    return new Promise((resolve) =>
      socket.send(data, () => {
        readOn()
        resolve()
      }),
    )
  }
}

/**
 * Asks a client for a sign of life, one at a time. What it sends and is not read yet waits in buffers of the network, the
 * operating systems and its own, where nobody sees how much there is; but its answer has to wait behind all of it.
 */
class Pings {
  readonly #socket: WebSocket
  #sentAt: number | undefined
  /** Whether an answer has come; for who asks to set back. */
  answered = true
  /** How long the last answer took. */
  roundTripMs = 0

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('pong', () => {
      this.answered = true
      this.roundTripMs = this.waitingMs
      this.#sentAt = undefined
    })
  }

  /** How long the answer is being waited for; 0 where none is. */
  get waitingMs(): number {
    return this.#sentAt === undefined ? 0 : performance.now() - this.#sentAt
  }

  /** Does nothing while an answer is being waited for. */
  send(): void {
    if (this.#sentAt !== undefined) return
    this.#sentAt = performance.now()
    this.#socket.ping()
  }
}
