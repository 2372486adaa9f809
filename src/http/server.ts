import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { LatchkeyError, type LatchkeyErrorCode, OverloadedError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { AccountConnections } from './account-connections.ts'
import { type Admission, overloadErrors } from './admission.ts'
import type { Authenticate } from './authenticate.ts'
import { BodyError, ClientGoneError, createBodyReader } from './body.ts'
import type { ClientArea } from './client-area.ts'
import { answerClientError } from './client-error.ts'
import type { GraphQLPipeline } from './graphql.ts'
import type { MaskError } from './mask-error.ts'
import type { OperationRecord, RequestLogLevel } from './operation-record.ts'
import type { Origins } from './origins.ts'
import type { answerPlainPost } from './plain-post.ts'
import { createTurns } from './turns.ts'

export interface HttpLimits {
  /** Of TCP, in all; more are closed as they come. */
  connections: number
  /** Under way at a time, event streams included. */
  requests: number
  bodyBytes: number
  headerBytes: number
  /** How long a request's headers, and then all of it, may take to arrive. */
  headersMs: number
  requestMs: number
  /** How long a connection is kept on which nothing is asked. */
  idleMs: number
}

export interface HttpOptions {
  pipeline: GraphQLPipeline
  authenticate: Authenticate
  maskError: MaskError
  log: Logger
  requestLogLevel: RequestLogLevel
  limits: HttpLimits
  accountConnections: AccountConnections
  admission: Admission
  /** Resolves when the database answers. */
  checkReady: () => Promise<void>
  /** Answers what is plain; left out, Yoga answers everything. */
  answerPlain?: typeof answerPlainPost | undefined
  origins: Origins
  /** Left out: there is none. */
  clientArea?: ClientArea | undefined
}

const path = '/graphql'

/**
 * Connections that wait to be taken. When clients of many thousand WebSockets come back at once, those beyond it try again
 * after seconds.
 */
const waitingConnections = 4_096

/** So many requests are begun in a turn of the event loop. Node.js takes one new connection in a turn, so it is to be short. */
const requestsPerTurn = 64

const tooManyRequests = 'Too many requests are under way. Try again in a moment.'

/** How long a new connection has to ask something when the server stops. */
const unusedWaitMs = 100

/** Keeps what is no page from being taken for one. Pages put a policy of their own in its place. */
const headersForBrowsers = Object.entries({
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
})

export interface HttpServer {
  server: Server
  /** Whether a request that came on this connection is yet to be answered. */
  isAnswering(socket: Duplex): boolean
  /** From here on `/ready` says no; all else goes on. */
  announceStop(): void
  /**
   * Takes no new connections, answers what has been accepted, ends event streams (their clients come back), and
   * resolves when all is closed. Clients that have not sent what they began to, or not read their answers, are cut
   * off after `withinMs`.
   */
  stop(withinMs: number): Promise<void>
}

/**
 * The HTTP side: GraphQL (and its explorer) at /graphql, the client area at /, whether the process lives and can
 * serve beside them.
 */
export function createHttpServer(options: HttpOptions): HttpServer {
  const { limits } = options
  const open = new Set<ServerResponse>()
  const eventStreams = new WeakSet<ServerResponse>()
  const answerGraphQL = createGraphQLListener(options, eventStreams)
  let announced = false
  let stopping = false
  const times = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: Math.min(limits.headersMs, limits.requestMs),
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
  }
  const server = createServer(times, (request, response) => {
    open.add(response)
    response.once('close', () => {
      open.delete(response)
      if (stopping) server.closeIdleConnections()
    })
    const target = targetOf(request)
    if (!target) return sendJson(response, 400, unreadableTarget)
    const { pathname } = target
    request.url = pathname + target.search
    const browser = mayBeBrowser(request)
    if (browser) for (const [name, value] of headersForBrowsers) response.setHeader(name, value)
    if (pathname !== path && options.clientArea?.(request, response, pathname)) return
    if (browser && options.origins.answer(request, response)) return
    if (pathname === path) return void answerGraphQL(request, response, open.size > limits.requests)
    if (pathname === '/health') return sendJson(response, 200, { status: 'alive' })
    if (pathname === '/ready' && announced)
      return sendJson(response, 503, { status: 'the server is stopping' })
    if (pathname === '/ready') return void answerReady(response, options)
    sendJson(response, 404, { message: `There is nothing here. GraphQL is at ${path}.` })
  })
  server.maxConnections = limits.connections
  server.on('clientError', answerClientError)
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    // One that is read anew after an upgrade that is not made comes again.
    if (connections.has(socket)) return
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })

  async function stop(withinMs: number): Promise<void> {
    announced = true
    stopping = true
    const closed = new Promise((resolve) => server.close(resolve))
    for (const response of open) if (response.headersSent && eventStreams.has(response)) response.destroy()
    server.closeIdleConnections()
    // Node.js takes connections that browsers open in advance, and on which nothing was asked yet, for busy. What was
    // asked on a new one may not have been read yet.
    const closeUnused = setTimeout(() => {
      for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
    }, unusedWaitMs)
    const cut = setTimeout(() => server.closeAllConnections(), withinMs)
    await closed
    clearTimeout(closeUnused)
    clearTimeout(cut)
  }
  const announceStop = () => {
    announced = true
  }
  const isAnswering = (socket: Duplex) => {
    for (const { req } of open) if (req.socket === socket) return true
    return false
  }
  return { server, isAnswering, announceStop, stop }
}

/** False for what no browser sends: its POSTs name their origin. A gateway's calls do not, and are spared the headers. */
function mayBeBrowser({ method, headers }: IncomingMessage): boolean {
  return method !== 'POST' || headers.origin !== undefined
}

/** What a request is refused with that has no target. */
const unreadableTarget = {
  errors: [
    {
      message: 'The address of the request, or its Host header, is not valid.',
      extensions: { code: 'BAD_USER_INPUT' },
    },
  ],
}

/** What is asked for; null where that is no address of HTTP, or the Host header no name of a host. */
export function targetOf({ url = '', headers }: IncomingMessage): Pick<URL, 'pathname' | 'search'> | null {
  if (!isHost(headers.host ?? '')) return null
  if (url === path) return { pathname: path, search: '' }
  const address = url.startsWith('/') ? `http://localhost${url}` : url
  return URL.canParse(address) ? new URL(address) : null
}

/** The name that the request before was sent to: a gateway sends them all to one. */
let knownHost = ''

/** Whether a URL can be made with it (RFC 9112, 3.2); clients that have no name to give send an empty one. */
function isHost(host: string): boolean {
  if (host === knownHost || host === '') return true
  if (!/^[^/?#@\\]+$/.test(host) || !URL.canParse(`http://${host}`)) return false
  knownHost = host
  return true
}

/** Listens, and resolves to the port that it got. Rejects where the port is in use. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen({ port, host, backlog: waitingConnections })
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}

async function answerReady(response: ServerResponse, { checkReady, log }: HttpOptions): Promise<void> {
  try {
    await checkReady()
    sendJson(response, 200, { status: 'ready' })
  } catch (error) {
    log.warn({ err: error }, 'not ready')
    sendJson(response, 503, { status: 'the database does not answer' })
  }
}

type GraphQLListener = (
  request: IncomingMessage,
  response: ServerResponse,
  overloaded: boolean,
) => Promise<void>

function createGraphQLListener(options: HttpOptions, eventStreams: WeakSet<ServerResponse>): GraphQLListener {
  const { pipeline, authenticate, maskError, log, requestLogLevel } = options
  const readBody = createBodyReader(options.limits.bodyBytes)
  const thisTurnOrNext = createTurns(requestsPerTurn)

  return async (request, response, overloaded) => {
    const startedAt = performance.now()
    const record: OperationRecord = { codes: new Set() }
    response.once('close', () =>
      log[requestLogLevel]({
        transport: 'http',
        method: request.method,
        operation: record.operation,
        // A client that hangs up early is sent nothing.
        status: response.headersSent ? response.statusCode : undefined,
        durationMs: Math.round(performance.now() - startedAt),
        codes: [...record.codes],
      }),
    )
    const refuse = (message: string) => {
      record.codes.add('OVERLOADED')
      sendText(response, 503, `{"errors":${overloadErrors(message)}}`)
    }
    try {
      // The body first: what is left unread when the answer is sent may cost the client the answer.
      const body = await readBody(request)
      await thisTurnOrNext()
      // Who has given up waiting would only be in the way of who has not.
      if (response.closed) return
      if (overloaded) return refuse(tooManyRequests)
      const principal = await authenticate(request.headers.authorization)
      const refusal = options.admission.refusalOf(principal)
      if (refusal !== undefined) return refuse(refusal)
      /** Once for each answer, whatever tells that it is a stream. */
      const streams = () => {
        if (eventStreams.has(response)) return
        const giveBack = options.accountConnections.take(principal?.accountExternalId)
        if (!giveBack)
          throw new OverloadedError('The account has as many live connections as it may. Close one of them.')
        eventStreams.add(response)
        if (response.closed) giveBack()
        else response.once('close', giveBack)
      }
      const context = { principal, record, streams }
      if (await options.answerPlain?.(request, response, body, pipeline, context)) return
      if (response.closed) return
      // Yoga takes a body that has been read from here.
      if (body.length > 0) Object.assign(request, { body })
      await pipeline.answerHttp(request, response, context)
    } catch (error) {
      if (error instanceof ClientGoneError) return
      const { message, extensions } = maskError(error)
      record.codes.add(String(extensions.code))
      const status =
        error instanceof BodyError
          ? error.status
          : error instanceof LatchkeyError
            ? statusOf[error.code]
            : 500
      if (response.headersSent) response.destroy()
      else sendJson(response, status ?? 500, { errors: [{ message, extensions }] })
    }
  }
}

/** The HTTP status of a request that is not carried out for this reason. */
export const statusOf: Partial<Record<LatchkeyErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  BAD_USER_INPUT: 400,
  QUERY_TOO_COMPLEX: 400,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body))
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  })
  response.end(text)
}
