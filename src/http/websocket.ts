import { once } from 'node:events'
import type { Server } from 'node:http'
import {
  type ExecutionArgs,
  type FormattedExecutionResult,
  type GraphQLError,
  type GraphQLFormattedError,
  getOperationAST,
} from 'graphql'
import { CloseCode, type Context as ConnectionContext, handleProtocols, makeServer } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../clock.ts'
import type { Principal } from '../domain/principal.ts'
import { UnavailableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Authenticate } from './authenticate.ts'
import { answerWithoutUpgrade } from './declined-upgrade.ts'
import type { GraphQLPipeline, RequestContext } from './graphql.ts'
import type { MaskError } from './mask-error.ts'
import { noteErrors, type OperationRecord, type RequestLogLevel } from './operation-record.ts'
import { pathnameOf } from './server.ts'
import { serveConnection } from './websocket-connection.ts'

export interface WebSocketOptions {
  server: Server
  pipeline: GraphQLPipeline
  authenticate: Authenticate
  maskError: MaskError
  clock: Clock
  log: Logger
  requestLogLevel: RequestLogLevel
  maxFrameBytes: number
}

/** What is kept of a connection. */
interface Extra {
  socket: WebSocket
  principal?: Principal | null
  cancelExpiry?: () => void
  /** Of the operations that are under way, by their ids. */
  records: Map<string, OperationRecord & { startedAt: number }>
}

type Connection = ConnectionContext<Record<string, unknown> | undefined, Extra>

/** The envelop-made functions travel to graphql-ws's hooks as the root value of the operation they belong to. */
interface Enveloped {
  execute: (args: ExecutionArgs) => never
  subscribe: (args: ExecutionArgs) => never
}

const path = '/graphql'
/** RFC 6455's registry of close codes. */
const tryAgainLater = 1013
const goingAway = 1001
/** How often clients are asked whether they are still there. */
const keepAliveMs = 12_000
/** How long operations have to end that are under way when the server stops. */
const drainWaitMs = 9_000
/** How long clients have to answer that a connection closes before it is cut. */
const closeWaitMs = 2_000

/**
 * Serves graphql-transport-ws on the HTTP server. Close codes beyond the protocol's own: 4403 for a token that
 * is not good or has expired, 1009 for a frame that is too large, 1013 when tokens cannot be checked at the moment, 1001 when the server stops.
 */
export function serveWebSocket(options: WebSocketOptions) {
  const { server, pipeline, authenticate, maskError, clock, log, requestLogLevel, maxFrameBytes } = options
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, handleProtocols })
  /** Queries and mutations that are yet to be answered. Subscriptions would go on for ever. */
  const underWay = new Set<OperationRecord>()
  let drained: (() => void) | undefined

  server.on('upgrade', (request, socket, head) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket')
      return answerWithoutUpgrade(server, request, socket, head)
    // Nobody else listens for errors of this socket; one that nobody listens for ends the process.
    socket.on('error', (err) => log.debug({ err }, 'a connection broke while it was upgraded'))
    if (pathnameOf(request) !== path)
      return socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    if (drained)
      return socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const extra = { socket: webSocket, records: new Map() }
      serveConnection({ protocol, socket: webSocket, request, extra, log, keepAliveMs })
    })
  })

  async function onConnect({ extra, connectionParams }: Connection): Promise<boolean> {
    const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
    try {
      extra.principal = await authenticate(authorization === undefined ? undefined : String(authorization))
    } catch (error) {
      const { extensions } = maskError(error)
      if (extensions.code === 'UNAUTHENTICATED') return false
      // No word about the token yet. graphql-ws would close with 4500, after which its clients give up.
      extra.socket.close(tryAgainLater, 'Try again later')
      return false
    }
    const { expiresAt } = extra.principal ?? {}
    // Closed rather than ended one by one: a client reconnects by itself, and asks for a fresh token.
    if (expiresAt)
      extra.cancelExpiry = clock.at(expiresAt, () => extra.socket.close(CloseCode.Forbidden, 'Forbidden'))
    return true
  }

  async function onSubscribe(
    { extra }: Connection,
    id: string,
    payload: { query: string; operationName?: unknown; variables?: unknown },
  ) {
    const record = { codes: new Set<string>(), startedAt: performance.now() }
    extra.records.set(id, record)
    const context: RequestContext = { principal: extra.principal ?? null, record }
    const { schema, parse, validate, contextFactory, execute, subscribe } = pipeline.getEnveloped(
      context as never,
    )
    try {
      const document = parse(payload.query)
      const errors = validate(schema, document)
      if (errors.length > 0) return refused(record, errors)
      if (drained) throw new UnavailableError('The server is shutting down.')
      if (
        getOperationAST(document, payload.operationName as string | undefined)?.operation !== 'subscription'
      )
        underWay.add(record)
      return {
        schema,
        document,
        operationName: payload.operationName,
        variableValues: payload.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      } as ExecutionArgs
    } catch (error) {
      underWay.delete(record)
      return refused(record, [error])
    }
  }

  function refused(record: OperationRecord, errors: readonly unknown[]): GraphQLError[] {
    const masked = errors.map(maskError)
    noteErrors(record, { errors: masked })
    return masked
  }

  /** An error as it is sent, without what is meant for HTTP. */
  function shown(error: GraphQLError): GraphQLFormattedError {
    const { extensions: { http: _http, ...extensions } = {}, ...formatted } = error.toJSON()
    return { ...formatted, extensions }
  }

  const protocol = makeServer<Record<string, unknown> | undefined, Extra>({
    execute: (args) => (args.rootValue as Enveloped).execute(args as ExecutionArgs),
    subscribe: (args) => (args.rootValue as Enveloped).subscribe(args as ExecutionArgs),
    onConnect,
    onSubscribe,
    onNext({ extra }, id, _payload, _args, result) {
      if (!result.errors) return
      noteErrors(extra.records.get(id), result)
      return { ...(result as FormattedExecutionResult), errors: result.errors.map(shown) }
    },
    // What a subscription is ended by has not been through the pipeline's masking.
    onError: ({ extra }, id, _payload, errors) => {
      ended(extra, id)
      return errors.map((error) => shown(maskError(error)))
    },
    onComplete: ({ extra }, id) => ended(extra, id),
    onDisconnect: ({ extra }) => {
      extra.cancelExpiry?.()
      for (const id of extra.records.keys()) ended(extra, id)
    },
  })

  function ended(extra: Extra, id: string): void {
    const record = extra.records.get(id)
    if (!record) return
    extra.records.delete(id)
    underWay.delete(record)
    if (underWay.size === 0) drained?.()
    log[requestLogLevel]({
      transport: 'websocket',
      operation: record.operation,
      durationMs: Math.round(performance.now() - record.startedAt),
      codes: [...record.codes],
    })
  }

  /** Resolves when every operation that was taken is answered, or has had its time; further ones are refused. */
  async function drain(): Promise<void> {
    let giveUp: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      drained = resolve
      giveUp = setTimeout(resolve, drainWaitMs)
      if (underWay.size === 0) resolve()
    })
    clearTimeout(giveUp)
  }

  /** Answers what was taken, closes every connection with 1001, and cuts those that do not answer in time. */
  async function stop(): Promise<void> {
    await drain()
    const cut = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate()
    }, closeWaitMs)
    const closed = Promise.all([...sockets.clients].map((socket) => once(socket, 'close')))
    for (const socket of sockets.clients) socket.close(goingAway, 'Going away')
    await closed
    clearTimeout(cut)
  }

  return { stop }
}
