import { InvalidInputError } from '../errors.ts'
import { tooComplexError } from './document-limits.ts'
import type { OperationRequest } from './engine.ts'
import { hasTooManyValues, tooManyValues } from './variables.ts'

const names = new Set(['query', 'operationName', 'variables', 'extensions'])
const byteOrderMark = 0xfeff

/** The operation in a body of JSON. @throws InvalidInputError, QueryTooComplexError */
export function operationRequestFromJson(text: string): OperationRequest {
  if (hasTooManyValues(text)) throw tooComplexError(tooManyValues)
  let parameters: unknown
  try {
    parameters = JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
  } catch (cause) {
    throw new InvalidInputError([{ path: [], message: 'The body is not valid JSON.' }], { cause })
  }
  return operationRequestFrom(parameters)
}

/**
 * The operation in the parameters of a GraphQL request, wherever they were sent.
 * https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters
 * @throws InvalidInputError
 */
export function operationRequestFrom(parameters: unknown): OperationRequest {
  if (Array.isArray(parameters)) throw invalid([], 'Batches are not supported. Send one operation a request.')
  if (typeof parameters !== 'object' || parameters === null)
    throw invalid([], 'The body must be a JSON object with a query.')
  for (const [name, value] of Object.entries(parameters)) {
    if (value != null && !names.has(name))
      throw invalid([name], 'A request may have query, operationName, variables and extensions.')
  }
  const { query, operationName, variables, extensions } = parameters as Record<string, unknown>
  if (typeof query !== 'string' || query === '')
    throw invalid(['query'], 'Send the operation in query, as text.')
  if (operationName != null && typeof operationName !== 'string')
    throw invalid(['operationName'], 'It must be text.')
  if (!isObjectOrNull(variables)) throw invalid(['variables'], 'It must be an object.')
  if (!isObjectOrNull(extensions)) throw invalid(['extensions'], 'It must be an object.')
  // In a query string, no name and an empty one are the same.
  return { query, operationName: operationName || undefined, variables }
}

function isObjectOrNull(value: unknown): value is Record<string, unknown> | null | undefined {
  return value == null || (typeof value === 'object' && !Array.isArray(value))
}

function invalid(path: string[], message: string): InvalidInputError {
  return new InvalidInputError([{ path, message }])
}
