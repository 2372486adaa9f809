import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendNodeResponse } from '@whatwg-node/server'
import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  subscribe,
} from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Principal } from '../domain/principal.ts'
import { InvalidInputError, type LatchkeyErrorCode } from '../errors.ts'
import { type Context, createContext, type ResolverServices } from '../schema/context.ts'
import { schema as latchkeySchema } from '../schema/index.ts'
import { DocumentCache, noErrorCache } from './document-cache.ts'
import { useDocumentLimits } from './document-limits.ts'
import { contentSecurityPolicyOf, type GraphiQL, renderGraphiQL } from './graphiql.ts'
import type { MaskError } from './mask-error.ts'
import { type OperationRecord, useOperationRecord } from './operation-record.ts'
import { PreparedOperation } from './prepared-operation.ts'
import { statusOf } from './server.ts'

/** What the transports hand over with an operation. */
export interface RequestContext {
  principal: Principal | null
  record: OperationRecord
  /** Told before a subscription begins, which is answered with an event stream. Throws where there may be no more. */
  streams?: () => void
}

export interface GraphQLOptions {
  services: ResolverServices
  maskError: MaskError
  /** Left out: no explorer, and no introspection. */
  graphiql?: GraphiQL | undefined
  /** Left out: Latchkey's own. */
  schema?: GraphQLSchema | undefined
}

/** An operation as a client sends it. */
export interface OperationRequest {
  query: string
  operationName?: string | undefined
  variables?: Record<string, unknown> | undefined
}

/** What GraphQL's own `execute` and `subscribe` take, and the operation that it is of. */
export interface PreparedArgs extends ExecutionArgs {
  prepared: PreparedOperation
}

/** The pipeline that every operation goes through, whichever transport it comes by. */
export interface GraphQLPipeline {
  /** Answers any HTTP request: operations, event streams, GraphiQL, preflights, and refusals of what is none of these. */
  answerHttp: (request: IncomingMessage, response: ServerResponse, context: RequestContext) => Promise<void>
  /**
   * Parses and validates, which is done once for documents that come again.
   * @returns the operation, or what is wrong with it
   * @throws GraphQLError where it cannot be parsed
   */
  prepare(request: OperationRequest, context: RequestContext): PreparedOperation | readonly GraphQLError[]
  /** Puts together what it takes to execute an operation. */
  argsOf(
    prepared: PreparedOperation,
    request: OperationRequest,
    context: RequestContext,
  ): PreparedArgs | Promise<PreparedArgs>
  /** Executes a query or a mutation; the errors of the result are masked. */
  execute(args: PreparedArgs): ExecutionResult | Promise<ExecutionResult>
}

/** Puts the schema, the context, the limits and the masking of errors together. */
export function createGraphQLPipeline({
  services,
  maskError,
  graphiql,
  schema = latchkeySchema,
}: GraphQLOptions): GraphQLPipeline {
  // They would give the schema away bit by bit, where it may not be asked for.
  const hideSuggestions = !graphiql
  const documents = new DocumentCache()
  /** Of the documents that were found valid: the operations that were asked for, by their names. */
  const preparedOf = new WeakMap<DocumentNode, Map<string | undefined, PreparedOperation>>()
  const yoga = createYoga<RequestContext>({
    schema,
    context: ({ principal }) => createContext(services, principal),
    maskedErrors: { maskError: (error) => maskError(error) },
    plugins: [
      useGraphQLExecutor(hideSuggestions),
      useDocumentLimits({ hideSuggestions }),
      useReadableParameters(),
      useMaskedRequestErrors(maskError),
      useExplainedStatus(),
      useOperationRecord(),
      graphiql ? usePagePolicy() : useNoIntrospection(),
    ],
    graphiql: graphiql ?? false,
    renderGraphiQL,
    // The server sees to it for every answer, its own included.
    cors: false,
    parserAndValidationCache: { documentCache: documents, errorCache: noErrorCache },
    batching: false,
    multipart: false,
    landingPage: false,
    logging: false,
  })

  function validDocument(query: string, context: RequestContext): DocumentNode | readonly GraphQLError[] {
    const known = documents.get(query)
    if (known && preparedOf.has(known)) return known
    const { parse, validate } = yoga.getEnveloped(context as never)
    const document: DocumentNode = parse(query)
    const errors: readonly GraphQLError[] = validate(schema, document)
    if (errors.length > 0) return errors
    preparedOf.set(document, new Map())
    return document
  }

  function preparedFrom(document: DocumentNode, operationName: string | undefined): PreparedOperation {
    const operations = preparedOf.get(document)
    const known = operations?.get(operationName)
    if (known) return known
    const prepared = new PreparedOperation(schema, document, operationName)
    // One that the document does not have is not kept: there is no end to their names.
    if (prepared.operation) operations?.set(operationName, prepared)
    return prepared
  }

  function masked(result: ExecutionResult): ExecutionResult {
    return result.errors ? { ...result, errors: result.errors.map(maskError) } : result
  }

  return {
    // Yoga's own listener would answer what it fails on with a stack; here it throws, and the server sees to it.
    async answerHttp(request, response, context) {
      const answer = await yoga.handleNodeRequestAndResponse(request, response, context)
      await sendNodeResponse(answer, response, request, false)
    },
    prepare({ query, operationName }, context) {
      const document = validDocument(query, context)
      if (!('kind' in document)) return document
      const prepared = preparedFrom(document, operationName ?? undefined)
      context.record.operation = prepared.label
      return prepared
    },
    argsOf(prepared, { operationName, variables: variableValues }, { principal }) {
      const { document } = prepared
      const args = (contextValue: Context) =>
        ({
          prepared,
          schema,
          document,
          operationName,
          variableValues,
          contextValue,
          hideSuggestions,
        }) as PreparedArgs
      const context = prepared.context(services, principal)
      return context instanceof Promise ? context.then(args) : args(context)
    },
    execute(args) {
      const result = args.prepared.execute(args)
      return result instanceof Promise ? result.then(masked) : masked(result)
    },
  }
}

/** GraphQL's own executor in place of Yoga's, as on the short ways past Yoga's HTTP. */
function useGraphQLExecutor(hideSuggestions: boolean): Plugin {
  return {
    onExecute: ({ setExecuteFn }) =>
      setExecuteFn((args: ExecutionArgs) => execute({ ...args, hideSuggestions })),
    onSubscribe: ({ setSubscribeFn }) =>
      setSubscribeFn((args: ExecutionArgs) => {
        ;(args.contextValue as Partial<RequestContext>).streams?.()
        return subscribe({ ...args, hideSuggestions })
      }),
  }
}

/** Yoga takes variables and extensions in an address or a form that are no JSON for a defect of the server. */
function useReadableParameters(): Plugin {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (!requestParser) return
      setRequestParser(async (request) => {
        try {
          return await requestParser(request)
        } catch (cause) {
          if (!(cause instanceof SyntaxError)) throw cause
          const message = 'The variables and the extensions have to be JSON.'
          throw new InvalidInputError([{ path: [], message }], { cause })
        }
      })
    },
  }
}

function useNoIntrospection(): Plugin {
  return {
    onValidate({ addValidationRule }) {
      addValidationRule(NoSchemaIntrospectionCustomRule)
    },
  }
}

/** GraphiQL is a page, and has a policy of its own. */
function usePagePolicy(): Plugin {
  return {
    async onResponse({ response, setResponse, fetchAPI }) {
      if (response.headers.get('content-type') !== 'text/html') return
      const page = await response.text()
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': contentSecurityPolicyOf(page),
        'cache-control': 'no-store',
      }
      setResponse(new fetchAPI.Response(page, { status: response.status, headers }))
    },
  }
}

/** What Yoga refuses without a word. */
const explanations: Record<number, string> = {
  406: 'The answer cannot be given in the type asked for. Accept application/json, or text/event-stream.',
  415: 'The body has a type that cannot be read. Send application/json.',
}

/** Sees to it that every refusal says why. */
function useExplainedStatus(): Plugin {
  return {
    onResponse({ response, setResponse, fetchAPI }) {
      const message = explanations[response.status]
      if (message === undefined || response.body !== null) return
      const body = JSON.stringify({ errors: [{ message, extensions: { code: 'BAD_USER_INPUT' } }] })
      const headers = {
        ...Object.fromEntries(response.headers),
        'content-type': 'application/json; charset=utf-8',
      }
      setResponse(new fetchAPI.Response(body, { status: response.status, headers }))
    },
  }
}

/** Requests that never come to be executed are answered in the same form as those that do. */
function useMaskedRequestErrors(maskError: MaskError): Plugin {
  return {
    onResultProcess({ result, setResult }) {
      if (!('errors' in result) || !result.errors) return
      const executed = 'data' in result
      const errors = result.errors.map((error) => {
        const masked = maskError(error)
        const status = statusOf[masked.extensions.code as LatchkeyErrorCode]
        if (status && !executed) masked.extensions.http ??= { status }
        return masked
      })
      setResult({ ...result, errors })
    },
  }
}
