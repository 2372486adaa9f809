import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { InvalidInputError, LatchkeyError, type LatchkeyErrorCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Authenticate } from './authenticate.ts'
import type { GraphQLPipeline } from './graphql.ts'
import type { MaskError } from './mask-error.ts'
import type { OperationRecord, RequestLogLevel } from './operation-record.ts'
import type { answerPlainPost } from './plain-post.ts'

export interface HttpOptions {
  pipeline: GraphQLPipeline
  authenticate: Authenticate
  maskError: MaskError
  log: Logger
  requestLogLevel: RequestLogLevel
  maxBodyBytes: number
  /** Resolves when the database answers. */
  checkReady: () => Promise<void>
  /** Answers what is plain; left out, Yoga answers everything. */
  answerPlain?: typeof answerPlainPost | undefined
}

const path = '/graphql'

/** How long clients have to send what they have begun to, and to read their answers, when the server stops. */
const stopWaitMs = 10_000

export interface HttpServer {
  server: Server
  /** Answers what has been accepted, ends event streams (their clients come back), and resolves when all is closed. */
  stop(): Promise<void>
}

/** The HTTP side: GraphQL (and its explorer) at /graphql, whether the process lives and can serve beside it. */
export function createHttpServer(options: HttpOptions): HttpServer {
  const open = new Set<ServerResponse>()
  let stopping = false
  const server = createServer((request, response) => {
    open.add(response)
    response.once('close', () => {
      open.delete(response)
      if (stopping) server.closeIdleConnections()
    })
    const pathname = pathnameOf(request)
    if (pathname === path) return void answerGraphQL(request, response, options)
    if (pathname === '/health') return sendJson(response, 200, { status: 'alive' })
    if (pathname === '/ready') return void answerReady(response, options)
    sendJson(response, 404, { message: `There is nothing here. GraphQL is at ${path}.` })
  })
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })

  async function stop(): Promise<void> {
    stopping = true
    const closed = new Promise((resolve) => server.close(resolve))
    for (const response of open) if (isEventStream(response)) response.destroy()
    // Node.js takes connections that browsers open in advance, and on which nothing was asked yet, for busy.
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
    server.closeIdleConnections()
    const cut = setTimeout(() => server.closeAllConnections(), stopWaitMs)
    await closed
    clearTimeout(cut)
  }
  return { server, stop }
}

/** A subscription, which would go on for ever. Its headers have been sent, and cannot be read any more. */
function isEventStream({ req, headersSent }: ServerResponse): boolean {
  return headersSent && (req.headers.accept ?? '').includes('text/event-stream')
}

/** The path that is asked for; null where what was sent is no path at all, as `//` is not. */
export function pathnameOf({ url = '' }: IncomingMessage): string | null {
  if (url === path) return path
  return URL.canParse(url, 'http://localhost') ? new URL(url, 'http://localhost').pathname : null
}

/** Listens, and resolves to the port that it got. Rejects where the port is in use. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  server.listen(port, host)
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

async function answerGraphQL(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpOptions,
): Promise<void> {
  const { pipeline, authenticate, maskError, log, requestLogLevel, maxBodyBytes } = options
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
  try {
    // The body first: what is left unread when the answer is sent may cost the client the answer.
    const body = await readBody(request, maxBodyBytes)
    const principal = await authenticate(request.headers.authorization)
    const context = { principal, record }
    if (await options.answerPlain?.(request, response, body, pipeline, context)) return
    // Yoga takes a body that has been read from here.
    if (body.length > 0) Object.assign(request, { body })
    await pipeline(request, response, context)
  } catch (error) {
    if (error instanceof ClientGoneError) return
    const { message, extensions } = maskError(error)
    record.codes.add(String(extensions.code))
    const status =
      error instanceof BodyError ? error.status : error instanceof LatchkeyError ? statusOf[error.code] : 500
    if (response.headersSent) response.destroy()
    else sendJson(response, status ?? 500, { errors: [{ message, extensions }] })
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

/** A body that is not read to its end, and the status that says why. */
class BodyError extends InvalidInputError {
  readonly status: number

  constructor(status: number, message: string) {
    super([{ path: [], message }])
    this.status = status
  }
}

/** The client hung up before it had sent everything: there is nobody to answer. */
class ClientGoneError extends Error {}

/** Of a body that is too large, this many times as much is let go by, so that the client comes to read why. */
const letGoByFactor = 16

/** Reads the whole body; of one that is too large nothing is kept. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= maxBytes) return chunks.push(chunk)
      chunks.length = 0
      if (length > maxBytes * letGoByFactor) request.destroy()
      reject(new BodyError(413, `The body is larger than ${maxBytes} bytes. Send less at a time.`))
    })
    // Of a client that hangs up there is an error only while somebody listens for it, but always a close.
    request.on('error', () => {})
    request.once('close', () => {
      if (!request.complete) reject(new ClientGoneError())
    })
    request.once('end', () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      if (isUtf8(body)) resolve(body)
      else reject(new BodyError(400, 'The body is not valid UTF-8.'))
    })
  })
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    // Pages of other origins may read refusals, too.
    'access-control-allow-origin': '*',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  })
  response.end(text)
}
