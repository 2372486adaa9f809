import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import type { GraphQLPipeline, OperationRequest, RequestContext } from './graphql.ts'
import { noteErrors } from './operation-record.ts'

const parameterNames = new Set(['query', 'operationName', 'variables', 'extensions'])

/**
 * Answers the plain case, JSON in and JSON out, without the objects of the Fetch API that Yoga goes through: a
 * gateway sends nothing else, and waits for it on every call. The operation runs through the same pipeline.
 * Returns false, with nothing done and nothing sent, for all that is not plain: other methods and types,
 * subscriptions, and every request that is refused before it is executed. Yoga answers those.
 */
export async function answerPlainPost(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  pipeline: GraphQLPipeline,
  context: RequestContext,
): Promise<boolean> {
  const contentType = plainContentType(request)
  const params = contentType === undefined ? undefined : plainParams(body)
  if (!contentType || !params) return false
  const result = await execute(params, pipeline, context)
  // Without data it was refused before it was executed, for instance for its variables.
  if (!result || !('data' in result)) return false
  noteErrors(context.record, result)
  if (response.destroyed) return true
  const text = JSON.stringify(result)
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
  return true
}

/** The type to answer in, for a request that sends JSON and takes JSON; undefined for any other. */
function plainContentType({ method, url, headers }: IncomingMessage): string | undefined {
  const { 'content-type': sent, 'content-encoding': encoding, accept = '*/*' } = headers
  if (method !== 'POST' || url !== '/graphql' || encoding) return undefined
  if (sent !== 'application/json' && sent !== 'application/json; charset=utf-8') return undefined
  if (accept === '*/*' || accept === 'application/json') return 'application/json; charset=utf-8'
  return accept === 'application/graphql-response+json' ? `${accept}; charset=utf-8` : undefined
}

function plainParams(body: Buffer): OperationRequest | undefined {
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(body.toString())
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined
  for (const name in parsed) if (!parameterNames.has(name)) return undefined
  const { query, operationName, variables, extensions } = parsed
  if (typeof query !== 'string' || extensions != null) return undefined
  if (operationName != null && typeof operationName !== 'string') return undefined
  if (variables != null && (typeof variables !== 'object' || Array.isArray(variables))) return undefined
  return { query, operationName: operationName ?? undefined, variables: (variables as never) ?? undefined }
}

async function execute(
  params: OperationRequest,
  pipeline: GraphQLPipeline,
  context: RequestContext,
): Promise<ExecutionResult | undefined> {
  let prepared: ReturnType<GraphQLPipeline['prepare']>
  try {
    prepared = pipeline.prepare(params, context)
  } catch {
    return undefined
  }
  if (!('document' in prepared) || !prepared.operation) return undefined
  if (prepared.operation.operation === 'subscription') return undefined
  return await pipeline.execute(await pipeline.argsOf(prepared, params, context))
}
