import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendNodeResponse } from '@whatwg-node/server'
import { type DocumentNode, type ExecutionArgs, executeSync, GraphQLError } from 'graphql'
import { createYoga, type GraphQLParams, type Plugin, type YogaInitialContext } from 'graphql-yoga'
import type { Principal } from '../domain/principal.ts'
import { InvalidInputError, type LatchkeyErrorCode } from '../errors.ts'
import { errorBody, statusOf } from '../http/respond.ts'
import type { GraphQLEngine, PreparedArgs } from './engine.ts'
import type { ErrorMask } from './mask-error.ts'
import type { OperationRecord } from './operation-log.ts'
import { operationRequestFrom, operationRequestFromJson } from './request-parameters.ts'

/** What a request is answered with, beside the request itself. */
export interface YogaContext {
  principal: Principal | null
  record: OperationRecord
  /** Called before an event stream starts. Throws if the account may not open another one. */
  beginStream: () => void
}

export interface YogaOptions {
  engine: GraphQLEngine
  errorMask: ErrorMask
}

export type AnswerWithYoga = (
  request: IncomingMessage,
  response: ServerResponse,
  context: YogaContext,
) => Promise<void>

/** Yoga over the engine: everything but JSON in, JSON out. Queries by GET, event streams, forms. */
export function createYogaHandler({ engine, errorMask }: YogaOptions): AnswerWithYoga {
  const invalidDocuments: InvalidDocuments = new WeakSet()
  const yoga = createYoga<YogaContext>({
    schema: engine.schema,
    maskedErrors: { maskError: (error) => masked(errorMask, error) },
    plugins: [
      useEngine(engine, invalidDocuments),
      useRequestParameters(),
      useErrorStatus(errorMask, invalidDocuments),
      useExplainedStatus(),
    ],
    graphiql: false,
    // The server sets CORS headers on every response, its own included.
    cors: false,
    // The engine has a cache of its own.
    parserAndValidationCache: false,
    batching: false,
    multipart: false,
    landingPage: false,
    logging: false,
  })
  // Yoga's own listener would send a stack trace where it fails. Here it throws, and the server handles it.
  return async (request, response, context) => {
    const answer = await yoga.handleNodeRequestAndResponse(request, response, context)
    await sendNodeResponse(answer, response, request, false)
  }
}

/** Requests whose document was refused; for application/json, the specification wants these answered with 200. */
type InvalidDocuments = WeakSet<OperationRecord>

/** Replaces each of Yoga's phases with the engine's. */
function useEngine(engine: GraphQLEngine, invalidDocuments: InvalidDocuments): Plugin<YogaContext> {
  function parse(
    query: string,
    { params, principal, record }: YogaInitialContext & YogaContext,
  ): DocumentNode {
    const { operationName } = params
    const prepared = engine.prepare({ query, operationName }, principal === null)
    if (!('document' in prepared)) {
      invalidDocuments.add(record)
      throw new AggregateError(prepared)
    }
    const { schema } = engine
    const { document, operation } = prepared
    // GraphQL's own message about a missing operation says more than Yoga's.
    if (!operation) throw new AggregateError(executeSync({ schema, document, operationName }).errors ?? [])
    return document
  }
  return {
    onParse: ({ context, setParseFn }) => setParseFn((source: string) => parse(source, context)),
    // The engine has validated the document with parsing it.
    onValidate: ({ setResult }) => setResult([]),
    onExecute: ({ setExecuteFn }) =>
      setExecuteFn(async (args: ExecutionArgs) => engine.execute(await argsOf(engine, args))),
    onSubscribe: ({ setSubscribeFn }) =>
      setSubscribeFn(async (args: ExecutionArgs) => {
        ;(args.contextValue as YogaContext).beginStream()
        return await engine.subscribe(await argsOf(engine, args))
      }),
  }
}

async function argsOf(engine: GraphQLEngine, yogaArgs: ExecutionArgs): Promise<PreparedArgs> {
  const { document, operationName, variableValues, contextValue } = yogaArgs
  const { principal, record } = contextValue as YogaContext
  const prepared = engine.operationOf(document, operationName)
  record.noteOperation(prepared.label)
  return await engine.argsOf(prepared, { operationName, variables: variableValues as never }, principal)
}

/** Has the parameters of every request judged by the same rules, whichever way they were sent. */
function useRequestParameters(): Plugin {
  return {
    onRequestParse({ request, requestParser, setRequestParser }) {
      if (!requestParser) return
      const isJson = /^application\/(graphql\+)?json/i.test(request.headers.get('content-type') ?? '')
      setRequestParser(async () => {
        if (request.method === 'POST' && isJson)
          return operationRequestFromJson(await request.text()) as GraphQLParams
        try {
          return operationRequestFrom(await requestParser(request)) as GraphQLParams
        } catch (cause) {
          // Yoga reports variables and extensions that are not JSON as an internal error.
          if (!(cause instanceof SyntaxError)) throw cause
          const message = 'The variables and the extensions must be JSON.'
          throw new InvalidInputError([{ path: [], message }], { cause })
        }
      })
    },
  }
}

/** Gives every error a status, which Yoga reads from `extensions.http` and does not send. */
function useErrorStatus(errorMask: ErrorMask, invalidDocuments: InvalidDocuments): Plugin<YogaContext> {
  return {
    onResultProcess({ result, setResult, serverContext }) {
      if (!('errors' in result) || !result.errors) return
      const { record } = serverContext as unknown as YogaContext
      const errors = errorMask.maskAll(result.errors).map((error, i) => keepHttp(error, result.errors?.[i]))
      record.noteErrors(errors)
      if (!('data' in result))
        for (const { extensions } of errors) {
          const status = statusOf[extensions.code as LatchkeyErrorCode]
          // `spec` is Yoga's word for 200 in application/json. It sets it too often.
          extensions.http = { status, ...(extensions.http ?? {}), spec: invalidDocuments.has(record) }
        }
      setResult({ ...result, errors })
    },
  }
}

/** Masks an error, and keeps the status and the headers that Yoga wants to refuse a request with. */
function masked(errorMask: ErrorMask, error: unknown): GraphQLError {
  return keepHttp(errorMask.mask(error), error)
}

function keepHttp(result: GraphQLError, error: unknown): GraphQLError {
  if (error instanceof GraphQLError && error.extensions.http) result.extensions.http = error.extensions.http
  return result
}

/** What Yoga refuses without saying why. */
const explanations: Record<number, string> = {
  406: 'The response cannot be given in that type. Accept application/json, or text/event-stream.',
  415: 'The body has a type that cannot be read. Send application/json.',
}

function useExplainedStatus(): Plugin {
  return {
    onResponse({ response, setResponse, fetchAPI }) {
      const message = explanations[response.status]
      if (message === undefined || response.body !== null) return
      const body = errorBody(new InvalidInputError([{ path: [], message }]))
      const headers = {
        ...Object.fromEntries(response.headers),
        'content-type': 'application/json; charset=utf-8',
      }
      setResponse(new fetchAPI.Response(body, { status: response.status, headers }))
    },
  }
}
