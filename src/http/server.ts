import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { InvalidInputError, LatchkeyError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Authenticate } from './authenticate.ts'
import type { GraphQLPipeline } from './graphql.ts'
import type { MaskError } from './mask-error.ts'
import type { OperationRecord, RequestLogLevel } from './operation-record.ts'

export interface HttpOptions {
  pipeline: GraphQLPipeline
  authenticate: Authenticate
  maskError: MaskError
  log: Logger
  requestLogLevel: RequestLogLevel
  maxBodyBytes: number
  /** Resolves when the database answers. */
  checkReady: () => Promise<void>
}

const path = '/graphql'

/** The HTTP side: GraphQL (and its explorer) at /graphql, whether the process lives and can serve beside it. */
export function createHttpServer(options: HttpOptions): Server {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === path) return void answerGraphQL(request, response, options)
    if (pathname === '/health') return sendJson(response, 200, { status: 'alive' })
    if (pathname === '/ready') return void answerReady(response, options)
    sendJson(response, 404, { message: `There is nothing here. GraphQL is at ${path}.` })
  })
  return server
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
      status: response.statusCode,
      durationMs: Math.round(performance.now() - startedAt),
      codes: [...record.codes],
    }),
  )
  try {
    const principal = await authenticate(request.headers.authorization)
    const body = await readBody(request, maxBodyBytes)
    // Yoga takes a body that has been read from here.
    if (body.length > 0) Object.assign(request, { body })
    await pipeline(request, response, { principal, record })
  } catch (error) {
    const { message, extensions } = maskError(error)
    record.codes.add(String(extensions.code))
    const status =
      error instanceof BodyError ? error.status : error instanceof LatchkeyError ? statusOf[error.code] : 500
    if (response.headersSent) response.destroy()
    else sendJson(response, status ?? 500, { errors: [{ message, extensions }] })
  }
}

const statusOf: Partial<Record<LatchkeyError['code'], number>> = {
  UNAUTHENTICATED: 401,
  BAD_USER_INPUT: 400,
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

/** Reads the whole body, and of one that is too large no more than it must; the rest is let go by unread. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= maxBytes) return chunks.push(chunk)
      chunks.length = 0
      reject(new BodyError(413, `The body is larger than ${maxBytes} bytes. Send less at a time.`))
    })
    request.once('error', reject)
    request.once('end', () => {
      const body = Buffer.concat(chunks)
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
    // After a refusal there may be a body left that nobody will read.
    ...(status >= 400 ? { connection: 'close' } : {}),
  })
  response.end(text)
}
