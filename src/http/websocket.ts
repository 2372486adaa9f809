import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  type ExecutionArgs,
  type FormattedExecutionResult,
  type GraphQLError,
  type GraphQLFormattedError,
  subscribe,
} from 'graphql'
import { CloseCode, type Context as ConnectionContext, handleProtocols, makeServer } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../clock.ts'
import type { Principal } from '../domain/principal.ts'
import { OverloadedError, UnavailableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { AccountConnections } from './account-connections.ts'
import { type Admission, overloadErrors } from './admission.ts'
import type { Authenticate } from './authenticate.ts'
import { answerWithoutUpgrade } from './declined-upgrade.ts'
import type { GraphQLPipeline, OperationRequest, PreparedArgs, RequestContext } from './graphql.ts'
import type { MaskError } from './mask-error.ts'
import { noteErrors, type OperationRecord, type RequestLogLevel } from './operation-record.ts'
import type { Origins } from './origins.ts'
import { targetOf } from './server.ts'
import { serveConnection } from './websocket-connection.ts'

export interface WebSocketLimits {
  /** In all. */
  webSockets: number
  /** On one WebSocket. */
  subscriptions: number
  /** Under way at a time on one WebSocket, subscriptions included. */
  operations: number
  frameBytes: number
  /** How long `connection_init` is waited for. */
  connectionInitMs: number
  /** How often clients are asked whether they are still there; one that has not answered by the next time is cut. */
  pingMs: number
  /** How long what a client sends may wait to be read. */
  waitMs: number
}

export interface WebSocketOptions {
  server: Server
  /** Whether a request that came on this connection is yet to be answered. */
  isAnswering(socket: Duplex): boolean
  pipeline: GraphQLPipeline
  authenticate: Authenticate
  maskError: MaskError
  clock: Clock
  log: Logger
  requestLogLevel: RequestLogLevel
  limits: WebSocketLimits
  accountConnections: AccountConnections
  admission: Admission
  origins: Origins
}

/** What is kept of a connection. */
interface Extra {
  socket: WebSocket
  principal?: Principal | null
  cancelExpiry?: () => void
  giveBackPlace?: () => void
  /** Of the operations that are under way, by the payloads they came with: clients may use an id again. */
  records: Map<object, WebSocketRecord>
  subscriptions: number
}

type WebSocketRecord = OperationRecord & { startedAt: number; isSubscription: boolean }

type Connection = ConnectionContext<Record<string, unknown> | undefined, Extra>

const path = '/graphql'
/** RFC 6455's registry of close codes. */
const tryAgainLater = 1013
const goingAway = 1001

/**
 * Serves graphql-transport-ws on the HTTP server. Close codes beyond the protocol's own: 4403 for a token that
 * is not good or has expired, 1009 for a frame that is too large, 1013 for those who are to come again later (tokens
 * cannot be checked at the moment, the account's connections are all taken, the database is too busy), 1001 when the
 * server stops.
 */
export function serveWebSocket(options: WebSocketOptions) {
  const { server, pipeline, authenticate, maskError, clock, log, requestLogLevel } = options
  const { limits, accountConnections, admission, isAnswering } = options
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.frameBytes,
    handleProtocols,
  })
  /** Queries and mutations that are yet to be answered. Subscriptions would go on for ever. */
  const underWay = new Set<OperationRecord>()
  let drained: (() => void) | undefined
  const unread = 'More operations come on this WebSocket than can be read in time. Try again in a moment.'
  const tooManyOperations = `This WebSocket has ${limits.operations} operations under way, as many as it may.`
  const tooManySubscriptions = `This WebSocket has ${limits.subscriptions} subscriptions, as many as it may.`

  server.on('upgrade', (request, socket, head) => {
    // Its answers would be mixed up with those that are yet to come on the connection, and Node.js would give up.
    if (isAnswering(socket)) return socket.destroy()
    if (request.headers.upgrade?.toLowerCase() !== 'websocket')
      return answerWithoutUpgrade(server, request, socket, head)
    // Nobody else listens for errors of this socket; one that nobody listens for ends the process.
    socket.on('error', (err) => log.debug({ err }, 'a connection broke while it was upgraded'))
    if (targetOf(request)?.pathname !== path) return refuseUpgrade(socket, '404 Not Found', '')
    if (!options.origins.mayAsk(request)) return refuseUpgrade(socket, '403 Forbidden', '')
    if (drained) return refuseUpgrade(socket, '503 Service Unavailable', '')
    if (sockets.clients.size >= limits.webSockets) {
      const errors = overloadErrors('Too many WebSockets are open. Try later.')
      return refuseUpgrade(socket, '503 Service Unavailable', `{"errors":${errors}}`)
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const extra: Extra = { socket: webSocket, records: new Map(), subscriptions: 0 }
      serveConnection({
        protocol,
        socket: webSocket,
        request,
        extra,
        log,
        keepAliveMs: limits.pingMs,
        maxUnreadMs: limits.waitMs,
        refusalOf: (isBehind) => refusalOf(extra, isBehind),
      })
    })
  })

  async function onConnect({ extra, connectionParams }: Connection): Promise<boolean> {
    const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
    if (authorization !== undefined && typeof authorization !== 'string') return false
    try {
      extra.principal = await authenticate(authorization)
    } catch (error) {
      const { extensions } = maskError(error)
      if (extensions.code === 'UNAUTHENTICATED') return false
      // No word about the token yet. graphql-ws would close with 4500, after which its clients give up.
      extra.socket.close(tryAgainLater, 'Try again later')
      return false
    }
    if (extra.socket.readyState !== extra.socket.OPEN) return false
    const giveBack = admission.refusesConnections
      ? null
      : accountConnections.take(extra.principal?.accountExternalId)
    if (!giveBack) {
      extra.socket.close(tryAgainLater, 'Too many connections. Try again later')
      return false
    }
    extra.giveBackPlace = giveBack
    const { expiresAt } = extra.principal ?? {}
    // Closed rather than ended one by one: a client reconnects by itself, and asks for a fresh token.
    if (expiresAt)
      extra.cancelExpiry = clock.at(expiresAt, () => extra.socket.close(CloseCode.Forbidden, 'Forbidden'))
    return true
  }

  /** Why none of a client's operations is begun now, as it is sent; undefined where they are. */
  function refusalOf({ principal, records }: Extra, isBehind: boolean): string | undefined {
    // It has to say who it is before.
    if (principal === undefined) return undefined
    if (isBehind) return overloadErrors(unread)
    const refusal = admission.refusalOf(principal)
    if (refusal) return overloadErrors(refusal)
    return records.size >= limits.operations ? overloadErrors(tooManyOperations) : undefined
  }

  async function onSubscribe(
    { extra }: Connection,
    _id: string,
    payload: { query: string; operationName?: unknown; variables?: unknown },
  ) {
    const record = { codes: new Set<string>(), startedAt: performance.now(), isSubscription: false }
    extra.records.set(payload, record)
    const context: RequestContext = { principal: extra.principal ?? null, record }
    const request = payload as OperationRequest
    try {
      const prepared = pipeline.prepare(request, context)
      if (!('document' in prepared)) return refused(extra, payload, prepared)
      if (drained) throw new UnavailableError('The server is shutting down.')
      if (prepared.operation?.operation !== 'subscription') underWay.add(record)
      else if (extra.subscriptions >= limits.subscriptions)
        return refused(extra, payload, [new OverloadedError(tooManySubscriptions)])
      else {
        record.isSubscription = true
        extra.subscriptions++
      }
      return await pipeline.argsOf(prepared, request, context)
    } catch (error) {
      return refused(extra, payload, [error])
    }
  }

  function refused(extra: Extra, payload: object, errors: readonly unknown[]): GraphQLError[] {
    const masked = errors.map(maskError)
    noteErrors(extra.records.get(payload), { errors: masked })
    ended(extra, payload)
    return masked
  }

  /** An error as it is sent, without what is meant for HTTP. */
  function shown(error: GraphQLError): GraphQLFormattedError {
    const { extensions: { http: _http, ...extensions } = {}, ...formatted } = error.toJSON()
    return { ...formatted, extensions }
  }

  const protocol = makeServer<Record<string, unknown> | undefined, Extra>({
    connectionInitWaitTimeout: limits.connectionInitMs,
    execute: (args) => pipeline.execute(args as PreparedArgs),
    subscribe: (args) => subscribe(args as ExecutionArgs),
    onConnect,
    onSubscribe,
    onNext({ extra }, _id, payload, _args, result) {
      if (!result.errors) return
      const errors = result.errors.map(maskError)
      noteErrors(extra.records.get(payload), { errors })
      return { ...(result as FormattedExecutionResult), errors: errors.map(shown) }
    },
    // What a subscription is ended by has not been through the pipeline's masking.
    onError: ({ extra }, _id, payload, errors) => {
      ended(extra, payload)
      return errors.map((error) => shown(maskError(error)))
    },
    onComplete: ({ extra }, _id, payload) => ended(extra, payload),
    onClose: ({ extra }) => {
      extra.cancelExpiry?.()
      extra.giveBackPlace?.()
      for (const payload of extra.records.keys()) ended(extra, payload)
    },
  })

  function ended(extra: Extra, payload: object): void {
    const record = extra.records.get(payload)
    if (!record) return
    extra.records.delete(payload)
    underWay.delete(record)
    if (record.isSubscription) extra.subscriptions--
    if (underWay.size === 0) drained?.()
    log[requestLogLevel]({
      transport: 'websocket',
      operation: record.operation,
      durationMs: Math.round(performance.now() - record.startedAt),
      codes: [...record.codes],
    })
  }

  /** Resolves when every operation that was taken is answered, or has had its time; further ones are refused. */
  async function drain(withinMs: number): Promise<void> {
    let giveUp: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      drained = resolve
      giveUp = setTimeout(resolve, withinMs)
      if (underWay.size === 0) resolve()
    })
    clearTimeout(giveUp)
  }

  /**
   * Answers what was taken, for which there is `answerMs`, closes every connection with 1001, and cuts those that do
   * not answer that within `closeMs`.
   */
  async function stop(answerMs: number, closeMs: number): Promise<void> {
    await drain(answerMs)
    const cut = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate()
    }, closeMs)
    const closed = Promise.all([...sockets.clients].map((socket) => once(socket, 'close')))
    for (const socket of sockets.clients) socket.close(goingAway, 'Going away')
    await closed
    clearTimeout(cut)
  }

  return { stop }
}

function refuseUpgrade(socket: Duplex, status: string, body: string): void {
  const type = body ? 'Content-Type: application/json; charset=utf-8\r\n' : ''
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\n${type}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
