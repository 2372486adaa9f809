import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FormattedExecutionResult, GraphQLError } from 'graphql'
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type Context as ProtocolContext,
  type Server,
  type SubscribePayload,
} from 'graphql-ws'
import { WebSocketServer } from 'ws'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { Clock } from '../../clock.ts'
import type { Principal } from '../../domain/principal.ts'
import {
  ForbiddenError,
  InvalidInputError,
  NotFoundError,
  OverloadedError,
  UnavailableError,
} from '../../errors.ts'
import type { Cors } from '../../http/cors.ts'
import { targetOf } from '../../http/request-target.ts'
import { refuseConnection } from '../../http/respond.ts'
import type { UnsentBytes } from '../../http/unsent.ts'
import type { Limits } from '../../limits.ts'
import type { Logger } from '../../log.ts'
import type { Admission } from '../../overload/admission.ts'
import type { ConnectionQuota } from '../../overload/connection-quota.ts'
import type { GraphQLEngine, OperationRequest, PreparedArgs } from '../engine.ts'
import type { ErrorMask } from '../mask-error.ts'
import { type OperationLogLevel, OperationRecord, RefusalLog } from '../operation-log.ts'
import { Connection } from './connection.ts'
import { Frames } from './frames.ts'

const invalidHandshake = new InvalidInputError([
  {
    path: [],
    message: 'The WebSocket handshake is not valid: GET, version 13 and a Sec-WebSocket-Key are required.',
  },
])

export interface GraphQLOverWebSocketOptions {
  engine: GraphQLEngine
  authenticator: Authenticator
  errorMask: ErrorMask
  admission: Admission
  connectionQuota: ConnectionQuota
  unsent: UnsentBytes
  cors: Cors
  clock: Clock
  limits: Pick<
    Limits,
    'webSockets' | 'subscriptions' | 'operations' | 'frameBytes' | 'connectionInitMs' | 'pingMs' | 'waitMs'
  >
  log: Logger
  operationLogLevel: OperationLogLevel
}

type ConnectionParams = Record<string, unknown> | undefined
type Context = ProtocolContext<ConnectionParams, Connection>

const path = '/graphql'
/** https://www.iana.org/assignments/websocket: close codes beyond those of graphql-transport-ws. */
const tryAgainLater = 1013
const goingAway = 1001

const nothingHere = new NotFoundError('There is nothing here. WebSockets are served at /graphql.')
const originNotAllowed = new ForbiddenError('CORS_ORIGINS does not allow pages of this origin.')
const stopping = new UnavailableError('The server is shutting down.')
const tooManyWebSockets = new OverloadedError('Too many WebSockets are open. Try later.')
const notReadInTime = new OverloadedError(
  'More operations come on this WebSocket than can be read in time. Try again in a moment.',
)

/**
 * GraphQL over WebSocket, as graphql-transport-ws. Close codes beyond the protocol's own: 4403 for a token that is not
 * valid or has expired, 1009 for a message that is too large, 1013 for clients that should connect again later (tokens
 * cannot be verified at the moment, the account has too many connections, the database is overloaded), 1001 when
 * the server stops.
 */
export class GraphQLOverWebSocket {
  readonly #options: GraphQLOverWebSocketOptions
  readonly #sockets: WebSocketServer
  readonly #connections = new Set<Connection>()
  readonly #protocol: Server<Connection>
  readonly #frames: Frames
  readonly #refusals: RefusalLog
  /** Queries and mutations that have not been answered. Subscriptions would go on for ever. */
  readonly #unanswered = new Set<object>()
  readonly #tooManyOperations: OverloadedError
  readonly #tooManySubscriptions: OverloadedError
  /** Called when nothing is left unanswered; set once the server stops. */
  #drained: (() => void) | undefined

  constructor(options: GraphQLOverWebSocketOptions) {
    this.#options = options
    const { limits, engine, unsent } = options
    this.#frames = new Frames(unsent)
    this.#refusals = new RefusalLog(options.log, options.operationLogLevel)
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: limits.frameBytes,
      handleProtocols,
      // The connection answers pings, and not each of many.
      autoPong: false,
    })
    this.#sockets.on('wsClientError', (_error, tcp) => refuseConnection(tcp, invalidHandshake))
    this.#tooManyOperations = new OverloadedError(
      `This WebSocket has ${limits.operations} operations in flight, as many as it may have.`,
    )
    this.#tooManySubscriptions = new OverloadedError(
      `This WebSocket has ${limits.subscriptions} subscriptions, as many as it may have.`,
    )
    this.#protocol = makeServer<ConnectionParams, Connection>({
      connectionInitWaitTimeout: limits.connectionInitMs,
      execute: (args) => engine.execute(args as PreparedArgs),
      subscribe: (args) => engine.subscribe(args as PreparedArgs),
      onConnect: (context) => this.#authenticate(context),
      onSubscribe: ({ extra }, _id, payload) => this.#begin(extra, payload),
      // The events of a subscription have not passed through the engine, nor has the error that ends one.
      onNext: ({ extra }, _id, payload, _args, result) => {
        if (!result.errors) return
        const errors = options.errorMask.maskAll(result.errors)
        extra.operations.recordOf(payload)?.noteErrors(errors)
        return { ...(result as FormattedExecutionResult), errors: errors.map((error) => error.toJSON()) }
      },
      onError: ({ extra }, _id, payload, errors) => this.#reject(extra, payload, errors),
      onComplete: ({ extra }, _id, payload) => this.#end(extra, payload),
      onClose: ({ extra }) => {
        for (const payload of extra.operations.payloads()) this.#end(extra, payload)
      },
    })
  }

  /** Accepts a WebSocket handshake, or refuses it with an HTTP response. */
  accept(request: IncomingMessage, tcp: Duplex, head: Buffer): void {
    const { log, limits } = this.#options
    // An error that nobody listens for ends the process, and until the handshake is done nobody else listens.
    tcp.on('error', (err) => log.debug({ err }, 'a connection failed during the WebSocket handshake'))
    const refusal = this.#refusalOfHandshake(request)
    if (refusal) return void refuseConnection(tcp, refusal)
    this.#sockets.handleUpgrade(request, tcp, head, (socket) => {
      const connection = new Connection({
        socket,
        tcp: request.socket as Socket,
        protocol: this.#protocol,
        frames: this.#frames,
        limits,
        log,
        noteRefusal: ({ code }) => this.#refusals.note(code),
        refusalFor: (each, isBehind) => this.#refusalFor(each, isBehind),
      })
      this.#connections.add(connection)
      socket.once('close', () => this.#connections.delete(connection))
    })
  }

  /**
   * Answers the operations in flight, for at most `answerMs`, closes every connection with 1001, and disconnects the
   * clients that do not confirm it within `closeMs`.
   */
  async stop(answerMs: number, closeMs: number): Promise<void> {
    await this.#drain(answerMs)
    const disconnect = setTimeout(() => {
      for (const connection of this.#connections) connection.terminate()
    }, closeMs)
    const closed = Promise.all([...this.#sockets.clients].map((socket) => once(socket, 'close')))
    for (const connection of this.#connections) connection.close(goingAway, 'Going away')
    await closed
    clearTimeout(disconnect)
    this.#refusals.flush()
  }

  #refusalOfHandshake(request: IncomingMessage) {
    const { cors, limits } = this.#options
    if (targetOf(request)?.pathname !== path) return nothingHere
    if (!cors.allows(request)) return originNotAllowed
    if (this.#drained) return stopping
    return this.#sockets.clients.size >= limits.webSockets ? tooManyWebSockets : undefined
  }

  /** Answers `connection_init`. Returns false for 4403; where another code fits better, closes with that one first. */
  async #authenticate(context: Context): Promise<boolean> {
    const { authenticator, errorMask, admission, connectionQuota } = this.#options
    const { extra: connection, connectionParams } = context
    const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
    // graphql-ws would keep them as long as the connection is open.
    delete (context as { connectionParams?: ConnectionParams }).connectionParams
    if (authorization !== undefined && typeof authorization !== 'string') return false
    connection.beginAuthentication()
    let principal: Principal | null
    try {
      principal = await authenticator.authenticate(authorization)
    } catch (error) {
      // graphql-ws would close with 4500 for any other error, and its clients do not reconnect after that.
      if (errorMask.toCaller(error).code !== 'UNAUTHENTICATED')
        connection.close(tryAgainLater, 'Try again later')
      return false
    }
    if (!connection.isOpen) return false
    const release = admission.refusesConnectionOf(principal)
      ? null
      : connectionQuota.acquire(principal?.accountExternalId)
    if (!release) {
      connection.close(tryAgainLater, 'Too many connections. Try again later')
      return false
    }
    const cancelExpiry = this.#closeWhenExpired(connection, principal)
    this.#options.unsent.attribute(connection.tcp, principal?.accountExternalId)
    connection.becomeReady(principal, () => {
      cancelExpiry()
      release()
    })
    return true
  }

  /** Closing makes the client reconnect, with a fresh token. Ending each operation by itself would not. */
  #closeWhenExpired(connection: Connection, principal: Principal | null): () => void {
    if (!principal) return () => {}
    return this.#options.clock.at(principal.expiresAt, () =>
      connection.close(CloseCode.Forbidden, 'Forbidden'),
    )
  }

  #refusalFor({ principal, operations }: Connection, isBehind: boolean): OverloadedError | undefined {
    if (isBehind) return notReadInTime
    const { admission, limits } = this.#options
    const refusal = admission.refusalFor(principal)
    if (refusal) return refusal
    return operations.count >= limits.operations ? this.#tooManyOperations : undefined
  }

  /** Begins an operation. Returns what graphql-ws executes it with, or why it is refused. */
  async #begin(
    connection: Connection,
    payload: SubscribePayload,
  ): Promise<PreparedArgs | readonly GraphQLError[]> {
    const { engine, admission } = this.#options
    const { operations, principal } = connection
    const record = new OperationRecord()
    operations.begin(payload, record, admission.begin(principal))
    try {
      const turn = engine.turnToPrepare(payload.query, principal)
      if (turn) await turn
      const prepared = engine.prepare(payload as OperationRequest, principal === null)
      if (!('document' in prepared)) return this.#refuse(connection, payload, prepared)
      record.noteOperation(prepared.label)
      if (this.#drained) throw stopping
      if (prepared.operation?.operation !== 'subscription') this.#unanswered.add(payload)
      else if (operations.subscriptions >= this.#options.limits.subscriptions)
        throw this.#tooManySubscriptions
      else operations.noteSubscription(payload)
      const args = await engine.argsOf(prepared, payload as OperationRequest, principal)
      return operations.isSubscription(payload) ? { ...args, gate: connection.events } : args
    } catch (error) {
      return this.#refuse(connection, payload, [error])
    }
  }

  /** Returns the errors of an operation, as they are sent. */
  #reject(connection: Connection, payload: object, errors: readonly GraphQLError[]) {
    const masked = this.#refuse(connection, payload, errors)
    // A subscription has noticed before the connection that the token has expired. If it ended by itself, the client
    // might close the connection, as one without operations, and not reconnect.
    if (connection.principal && masked.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED'))
      connection.close(CloseCode.Forbidden, 'Forbidden')
    return masked.map((error) => error.toJSON())
  }

  #refuse(connection: Connection, payload: object, errors: readonly unknown[]): readonly GraphQLError[] {
    const masked = this.#options.errorMask.maskAll(errors)
    connection.operations.recordOf(payload)?.noteErrors(masked)
    this.#end(connection, payload)
    return masked
  }

  #end({ operations }: Connection, payload: object): void {
    const record = operations.end(payload)
    if (!record) return
    this.#unanswered.delete(payload)
    if (this.#unanswered.size === 0) this.#drained?.()
    record.write(this.#options.log, this.#options.operationLogLevel, { transport: 'websocket' })
  }

  /** Refuses further operations, and resolves when those in flight are answered or their time is up. */
  async #drain(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#drained = resolve
      timer = setTimeout(resolve, withinMs)
      if (this.#unanswered.size === 0) resolve()
    })
    clearTimeout(timer)
  }
}
