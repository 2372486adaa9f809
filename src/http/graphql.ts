import { NoSchemaIntrospectionCustomRule, parse } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Principal } from '../domain/principal.ts'
import { createContext, type Services } from '../schema/context.ts'
import { schema } from '../schema/index.ts'
import { type GraphiQL, renderGraphiQL } from './graphiql.ts'
import type { MaskError } from './mask-error.ts'
import { type OperationRecord, useOperationRecord } from './operation-record.ts'

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
}

/** The pipeline that every operation goes through, whichever transport it comes by. */
export type GraphQLPipeline = ReturnType<typeof createGraphQLPipeline>

/** An operation with more tokens than this is not even parsed. */
const maxTokens = 10_000

/** Puts the schema, the context, the limits and the masking of errors together. */
export function createGraphQLPipeline({ services, maskError, graphiql }: GraphQLOptions) {
  return createYoga<RequestContext>({
    schema,
    context: ({ principal }) => createContext(services, principal),
    maskedErrors: { maskError: (error) => maskError(error) },
    plugins: [
      useTokenLimit(),
      useMaskedRequestErrors(maskError),
      useOperationRecord(),
      !graphiql && useNoIntrospection(),
    ],
    graphiql: graphiql ?? false,
    renderGraphiQL,
    // There are no cookies, so any origin may send what its own user's token allows.
    cors: { origin: '*', credentials: false },
    batching: false,
    multipart: false,
    landingPage: false,
    logging: false,
  })
}

function useTokenLimit(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parse(source, { ...options, maxTokens }))
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

/** Requests that never come to be executed are answered in the same form as those that do. */
function useMaskedRequestErrors(maskError: MaskError): Plugin {
  return {
    onResultProcess({ result, setResult }) {
      if (!('errors' in result) || !result.errors) return
      setResult({ ...result, errors: result.errors.map(maskError) })
    },
  }
}
