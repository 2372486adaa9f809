import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Authenticator } from '../auth/authenticator.ts'
import { hasScope, type Principal } from '../domain/principal.ts'
import { InvalidInputError, LatchkeyError, OverloadedError, UnavailableError } from '../errors.ts'
import { type Bodies, BodyError, ClientGoneError, createBodies, type Sender } from '../http/body.ts'
import { sendRefusal, statusOf } from '../http/respond.ts'
import type { UnsentBytes } from '../http/unsent.ts'
import { fixedLimits, type Limits } from '../limits.ts'
import type { Logger } from '../log.ts'
import type { Admission } from '../overload/admission.ts'
import type { ConnectionQuota } from '../overload/connection-quota.ts'
import type { Turns } from '../overload/turns.ts'
import { type GraphQLEngine, noToken } from './engine.ts'
import { answerJsonPost, jsonTypeOf } from './json-post.ts'
import type { ErrorMask } from './mask-error.ts'
import { type OperationLogLevel, OperationRecord } from './operation-log.ts'
import { type AnswerWithYoga, createYogaHandler } from './yoga.ts'

export interface GraphQLOverHttpOptions {
  engine: GraphQLEngine
  authenticator: Authenticator
  errorMask: ErrorMask
  admission: Admission
  connectionQuota: ConnectionQuota
  unsent: UnsentBytes
  turns: Turns<Socket>
  limits: Pick<Limits, 'requests' | 'bodyBytes'>
  log: Logger
  operationLogLevel: OperationLogLevel
  /** Serves the explorer's page. Left out: there is none. */
  explorer?: ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | undefined
}

const tooManyRequests = new OverloadedError('Too many requests are in flight. Try again in a moment.')
const tooManyStreams = new OverloadedError(
  'The account has as many live connections as it may have. Close one of them.',
)
const { anonymousWeight } = fixedLimits

const stoppingError = new UnavailableError('The server is shutting down.')
const noOperation = new InvalidInputError([
  {
    path: ['query'],
    message: 'The request has no operation. Send it as JSON in a POST, or as ?query= in a GET.',
  },
])

/**
 * GraphQL over HTTP and server-sent events:
 *
 *   authenticate ──▶ read the body ──▶ wait for a turn ──▶ admit ──▶ JSON in, JSON out
 *                                                               └──▶ Yoga, for everything else
 */
export class GraphQLOverHttp {
  readonly #options: GraphQLOverHttpOptions
  readonly #bodies: Bodies
  readonly #answerWithYoga: AnswerWithYoga
  readonly #streams = new Set<ServerResponse>()
  #inFlight = 0
  #stopping = false

  constructor(options: GraphQLOverHttpOptions) {
    this.#options = options
    this.#bodies = createBodies(options.limits.bodyBytes)
    this.#answerWithYoga = createYogaHandler(options)
  }

  serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { errorMask, limits, explorer } = this.#options
    if (explorer && isForPage(request)) return await explorer(request, response)
    const record = this.#begin(request, response)
    const isTooMany = this.#inFlight > limits.requests
    try {
      const principal = await this.#authenticate(request, isTooMany)
      const isRefused = principal instanceof LatchkeyError
      const body = isRefused
        ? await this.#bodies.discard(request)
        : await this.#bodies.read(request, senderOf(principal))
      const weight = principal === null ? anonymousWeight : 1
      await this.#options.turns.take(request.socket, weight)
      if (response.destroyed) return
      if (isRefused || !body) throw principal
      await this.#answer(request, response, body, principal, record)
    } catch (error) {
      if (error instanceof ClientGoneError) return
      this.#refuse(response, errorMask.toCaller(error), record)
    }
  }

  /** Ends all event streams; their clients reconnect. Further ones are refused. */
  endStreams(): void {
    this.#stopping = true
    for (const response of this.#streams) response.destroy()
  }

  #begin(request: IncomingMessage, response: ServerResponse): OperationRecord {
    const { log, operationLogLevel } = this.#options
    const record = new OperationRecord()
    this.#inFlight++
    response.once('close', () => {
      this.#inFlight--
      record.write(log, operationLogLevel, {
        transport: 'http',
        method: request.method,
        // A client that disconnected early was sent nothing.
        status: response.headersSent ? response.statusCode : undefined,
      })
    })
    return record
  }

  /**
   * Who sends a request, or why nobody may: then its body is not kept. Of too many requests, only those that may meter
   * are served: anyone can have the others in flight.
   */
  async #authenticate(
    { headers }: IncomingMessage,
    isTooMany: boolean,
  ): Promise<Principal | null | LatchkeyError> {
    const { authenticator, errorMask, engine } = this.#options
    try {
      const principal = await authenticator.authenticate(headers.authorization)
      if (isTooMany && senderOf(principal) !== 'gateway') return tooManyRequests
      return principal ?? (engine.isOpenToAnyone ? null : noToken)
    } catch (error) {
      return errorMask.toCaller(error)
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    principal: Principal | null,
    record: OperationRecord,
  ): Promise<void> {
    const { admission, unsent } = this.#options
    unsent.attribute(request.socket, principal?.accountExternalId)
    const refusal = admission.refusalFor(principal)
    if (refusal) throw refusal
    const end = admission.begin(principal)
    try {
      await this.#execute(request, response, body, principal, record, end)
    } finally {
      end()
    }
  }

  /** @param end says that the operation has ended as far as the database is concerned: event streams go on for long */
  async #execute(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    principal: Principal | null,
    record: OperationRecord,
    end: () => void,
  ): Promise<void> {
    const jsonType = jsonTypeOf(request)
    if (jsonType && (await answerJsonPost(this.#options, response, body, jsonType, principal, record))) return
    if (response.destroyed) return
    if (lacksOperation(request)) throw principal ? noOperation : noToken
    const beginStream = () => {
      this.#beginStream(response, principal?.accountExternalId)
      end()
    }
    // Yoga parses the document before anything else can be awaited.
    await this.#options.engine.turnToPrepare(`${request.url}${body}`, principal)
    if (response.destroyed) return
    // Yoga takes a body that has been read from here.
    if (body.length > 0) Object.assign(request, { body })
    await this.#answerWithYoga(request, response, { principal, record, beginStream })
  }

  #beginStream(response: ServerResponse, account: string | undefined): void {
    if (this.#stopping) throw stoppingError
    if (this.#streams.has(response)) return
    const release = this.#options.connectionQuota.acquire(account)
    if (!release) throw tooManyStreams
    const end = () => {
      release()
      this.#streams.delete(response)
    }
    this.#streams.add(response)
    if (response.destroyed) end()
    else response.once('close', end)
  }

  #refuse(response: ServerResponse, error: LatchkeyError, record: OperationRecord): void {
    record.noteCode(error.code)
    if (response.headersSent) response.destroy()
    else sendRefusal(response, error, error instanceof BodyError ? error.status : statusOf[error.code])
  }
}

function senderOf(principal: Principal | null): Sender {
  if (principal === null) return 'stranger'
  return hasScope(principal, 'calls:meter') ? 'gateway' : 'customer'
}

/** A GET without an operation. Answered with success, it would make `auth_request` of a proxy admit everyone. */
function lacksOperation({ method, url = '' }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && !/[?&](query|extensions)=[^&]/.test(url)
}

/** What a browser sends when somebody opens the address. */
function isForPage({ method, headers: { accept = '' } }: IncomingMessage): boolean {
  return method === 'GET' && accept.includes('text/html')
}
