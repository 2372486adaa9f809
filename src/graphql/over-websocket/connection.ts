import type { Socket } from 'node:net'
import { CloseCode, MessageType, type Server, stringifyMessage } from 'graphql-ws'
import type { WebSocket } from 'ws'
import type { Principal } from '../../domain/principal.ts'
import { type Transitions, transition } from '../../domain/transitions.ts'
import type { OverloadedError } from '../../errors.ts'
import { errorsJson } from '../../http/respond.ts'
import { fixedLimits, type Limits } from '../../limits.ts'
import type { Logger } from '../../log.ts'
import { hasTooManyValues } from '../variables.ts'
import type { Frames } from './frames.ts'
import { Operations } from './operations.ts'
import { Pings } from './pings.ts'
import { SendGate } from './send-gate.ts'
import { StrangerLimit } from './stranger-limit.ts'

export interface ConnectionOptions {
  socket: WebSocket
  /** The TCP connection below the WebSocket. */
  tcp: Socket
  protocol: Pick<Server<Connection>, 'opened'>
  frames: Frames
  limits: Pick<Limits, 'pingMs' | 'waitMs'>
  log: Logger
  /**
   * Why operations on a ready connection are refused at the moment; undefined if they are admitted. `isBehind`: the client
   * sends faster than the server reads, and what arrives now has waited for longer than it may.
   */
  refusalFor: (connection: Connection, isBehind: boolean) => OverloadedError | undefined
  /** Called with each operation that was refused. */
  noteRefusal: (refusal: OverloadedError) => void
}

/** After this long, a client that was behind is no longer assumed to be. */
const behindForMs = 1_000

/** How long a client that is cut off has to read why. */
const readReasonMs = 1_000

/** RFC 6455, 7.4.1. */
const messageTooBig = 1009

/** The bytes of a control frame that are left for a close reason (RFC 6455, 5.5). */
const closeReasonBytes = 123

const { messagesPerTurn, unsentBytes } = fixedLimits

type ConnectionState = 'greeting' | 'authenticating' | 'ready' | 'closed'

const transitions: Transitions<ConnectionState> = {
  greeting: ['authenticating', 'closed'],
  authenticating: ['ready', 'closed'],
  ready: ['closed'],
  closed: [],
}

/**
 * One WebSocket that speaks graphql-transport-ws:
 *
 *   greeting ──(connection_init)──▶ authenticating ──(token verified)──▶ ready
 *      └───────────────┴────────────────(closed by either side)────────────┴──▶ closed
 *
 * It is read while fewer than `messagesPerTurn` messages were read in this turn of the event loop and fewer than
 * `unsentBytes` wait to be sent; a client that does not read its answers is not read from.
 */
export class Connection {
  readonly operations = new Operations()
  readonly tcp: Socket
  /** What the events of its subscriptions pass. */
  readonly events = new SendGate(() => this.#options.socket.bufferedAmount < unsentBytes)
  readonly #options: ConnectionOptions
  #state: ConnectionState = 'greeting'
  readonly #pings: Pings
  readonly #strangerLimit: StrangerLimit
  #principal: Principal | null = null
  /** What must be undone when the connection closes. */
  #release: () => void = () => {}
  #messagesInTurn = 0
  /** What the last ping said that has not been answered. */
  #pingToAnswer: Buffer | undefined
  #isBehind = false
  /** Whether nothing more is read. */
  #isAbandoned = false
  #behindUntilMs = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.tcp = options.tcp
    const { socket, tcp, protocol, log, limits } = options
    this.#pings = new Pings(socket, () => setImmediate(() => this.#catchUp()))
    // The client waits to be acknowledged before it sends operations, so nothing delays this pong.
    this.#pings.send()
    this.#strangerLimit = new StrangerLimit(socket, tcp, () => this.#closeUnread())
    socket.on('ping', (payload) => this.#notePing(payload))
    const keepAlive = setInterval(() => this.#keepAlive(), limits.pingMs)
    tcp.on('drain', () => this.#goOn())
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) => this.#send(data),
        close: (code, reason) => this.close(code, reason),
        onPing: (payload) => this.#answerPing(payload),
        onMessage: (handle) => socket.on('message', (data) => void this.#receive(String(data), handle)),
      },
      this,
    )
    // ws has closed the connection because of something that the client did.
    socket.on('error', (err) => log.debug({ err }, 'a WebSocket failed'))
    socket.once('close', (code, reason) => {
      clearInterval(keepAlive)
      this.#enter('closed')
      this.#release()
      void closed(code, String(reason))
    })
  }

  /** Null before the connection is ready, and for a client without a token. */
  get principal(): Principal | null {
    return this.#principal
  }

  get isOpen(): boolean {
    const { socket } = this.#options
    return socket.readyState === socket.OPEN
  }

  /** `connection_init` has arrived. */
  beginAuthentication(): void {
    this.#enter('authenticating')
  }

  /** The token was verified. `release` is called when the connection closes. */
  becomeReady(principal: Principal | null, release: () => void): void {
    this.#enter('ready')
    this.#principal = principal
    this.#release = release
    if (principal) this.#strangerLimit.lift()
  }

  /** A reason may quote the client, and ws throws where it is too long. */
  close(code?: number, reason = ''): void {
    this.#options.socket.close(code, Buffer.byteLength(reason) > closeReasonBytes ? '' : reason)
  }

  /** Closes the connection without waiting for the client. */
  terminate(): void {
    this.#options.socket.terminate()
  }

  /** Closes the connection without reading what the client is still sending. It has a moment to read why. */
  #closeUnread(): void {
    const { socket, tcp } = this.#options
    this.close(messageTooBig)
    this.#isAbandoned = true
    socket.pause()
    tcp.end()
    setTimeout(() => tcp.destroy(), readReasonMs).unref()
  }

  #enter(next: ConnectionState): void {
    this.#state = transition(transitions, this.#state, next)
  }

  #keepAlive(): void {
    if (!this.#pings.isAnswered) return void this.terminate()
    this.#pings.isAnswered = false
    this.#pings.send()
  }

  async #receive(text: string, handle: (text: string) => Promise<void>): Promise<void> {
    if (!this.isOpen) return
    this.#countInTurn()
    // Nothing says which operation it is before it is parsed.
    if (hasTooManyValues(text)) return this.close(messageTooBig)
    if (this.#isRefused(text)) return
    try {
      await handle(text)
    } catch (err) {
      if (isServerMessage(text)) return this.close(CloseCode.BadRequest, 'Invalid message received')
      this.#options.log.error({ err }, 'a WebSocket message could not be handled')
      this.close(CloseCode.InternalServerError, 'Internal server error')
    }
  }

  /** Refuses an operation before anything is parsed but its envelope. */
  #isRefused(text: string): boolean {
    if (this.#state !== 'ready') return false
    const refusal = this.#options.refusalFor(this, this.#isBehind)
    const id = refusal && operationIdOf(text)
    if (!refusal || id === undefined) return false
    this.#options.noteRefusal(refusal)
    void this.#send(`{"id":${JSON.stringify(id)},"type":"error","payload":${errorsJson(refusal)}}`)
    return true
  }

  /** A ping counts as a message. Only the last one of a turn is answered, as RFC 6455, 5.5.3 allows. */
  #notePing(payload: Buffer): void {
    this.#pingToAnswer = payload
    this.#countInTurn()
  }

  #countInTurn(): void {
    if (this.#messagesInTurn++ === 0) this.#beginTurn()
    if (this.#messagesInTurn === messagesPerTurn) this.#options.socket.pause()
  }

  #beginTurn(): void {
    this.#isBehind = performance.now() < this.#behindUntilMs
    this.#pings.noteMessage()
    setImmediate(() => this.#endTurn())
  }

  #endTurn(): void {
    const isMore = this.#messagesInTurn >= messagesPerTurn
    const isLate = isMore && this.#pings.backlogMs > this.#options.limits.waitMs
    this.#behindUntilMs = isLate ? performance.now() + behindForMs : 0
    if (isMore) this.#pings.send()
    this.#messagesInTurn = 0
    const { socket } = this.#options
    if (this.#pingToAnswer && this.isOpen && socket.bufferedAmount < unsentBytes)
      socket.pong(this.#pingToAnswer)
    this.#pingToAnswer = undefined
    this.#readOn()
  }

  /** A pong has arrived, and nothing with it: the client has no backlog left. */
  #catchUp(): void {
    if (this.#messagesInTurn === 0) this.#behindUntilMs = 0
  }

  /** Everything was sent. */
  #goOn(): void {
    this.#readOn()
    this.events.proceed()
  }

  #readOn(): void {
    const { socket } = this.#options
    if (this.#isAbandoned) return
    if (socket.isPaused && this.#messagesInTurn < messagesPerTurn && socket.bufferedAmount < unsentBytes)
      socket.resume()
  }

  /** The promise resolves when more may be sent; a subscription awaits it and merges its events meanwhile. */
  #send(data: string): void | Promise<void> {
    const { socket, frames, tcp } = this.#options
    if (!this.isOpen) return
    frames.holdBack(tcp)
    if (socket.bufferedAmount < unsentBytes) return socket.send(data)
    socket.pause()
    return new Promise((resolve) =>
      socket.send(data, () => {
        this.#goOn()
        resolve()
      }),
    )
  }

  /** A pong returns the ping's payload, which may be nested too deeply to be written. */
  #answerPing(payload: Record<string, unknown> | undefined): void | Promise<void> {
    let pong: string
    try {
      pong = stringifyMessage({ type: MessageType.Pong, ...(payload ? { payload } : {}) })
    } catch {
      return this.close(CloseCode.BadRequest, 'Invalid message received')
    }
    return this.#send(pong)
  }
}

/** The id of the operation that a message starts; undefined if it starts none. */
function operationIdOf(text: string): string | undefined {
  try {
    const message = JSON.parse(text)
    return message?.type === MessageType.Subscribe && typeof message.id === 'string' ? message.id : undefined
  } catch {
    return undefined
  }
}

const serverMessages: readonly unknown[] = [
  MessageType.ConnectionAck,
  MessageType.Next,
  MessageType.Error,
] satisfies MessageType[]

/** Whether a message that graphql-ws could read, and rejected, is one that only servers send. */
function isServerMessage(text: string): boolean {
  return serverMessages.includes(JSON.parse(text).type)
}
