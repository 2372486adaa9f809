import { type GraphQLSchema, NoSchemaIntrospectionCustomRule } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Principal } from '../domain/principal.ts'
import type { LatchkeyErrorCode } from '../errors.ts'
import { createContext, type Services } from '../schema/context.ts'
import { schema as latchkeySchema } from '../schema/index.ts'
import { DocumentCache, noErrorCache } from './document-cache.ts'
import { useDocumentLimits } from './document-limits.ts'
import { type GraphiQL, renderGraphiQL } from './graphiql.ts'
import type { MaskError } from './mask-error.ts'
import { type OperationRecord, useOperationRecord } from './operation-record.ts'
import { statusOf } from './server.ts'

/** What the transports hand over with an operation. */
export interface RequestContext {
  principal: Principal | null
  record: OperationRecord
}

export interface GraphQLOptions {
  services: Services
  maskError: MaskError
  /** Left out: no explorer, and no introspection. */
  graphiql?: GraphiQL | undefined
  /** Left out: Latchkey's own. */
  schema?: GraphQLSchema | undefined
}

/** The pipeline that every operation goes through, whichever transport it comes by. */
export type GraphQLPipeline = ReturnType<typeof createGraphQLPipeline>

/** Puts the schema, the context, the limits and the masking of errors together. */
export function createGraphQLPipeline({
  services,
  maskError,
  graphiql,
  schema = latchkeySchema,
}: GraphQLOptions) {
  return createYoga<RequestContext>({
    schema,
    context: ({ principal }) => createContext(services, principal),
    maskedErrors: { maskError: (error) => maskError(error) },
    plugins: [
      useDocumentLimits(),
      useMaskedRequestErrors(maskError),
      useExplainedStatus(),
      useOperationRecord(),
      !graphiql && useNoIntrospection(),
    ],
    graphiql: graphiql ?? false,
    renderGraphiQL,
    // There are no cookies, so any origin may send what its own user's token allows.
    cors: { origin: '*', credentials: false },
    parserAndValidationCache: { documentCache: new DocumentCache(), errorCache: noErrorCache },
    batching: false,
    multipart: false,
    landingPage: false,
    logging: false,
  })
}

function useNoIntrospection(): Plugin {
  return {
    onValidate({ addValidationRule }) {
      addValidationRule(NoSchemaIntrospectionCustomRule)
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
