import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ExecutionResult, GraphQLError } from 'graphql'
import Negotiator from 'negotiator'
import type { Principal } from '../domain/principal.ts'
import type { LatchkeyErrorCode } from '../errors.ts'
import { sendText, statusOf } from '../http/respond.ts'
import type { GraphQLEngine } from './engine.ts'
import type { ErrorMask } from './mask-error.ts'
import type { OperationRecord } from './operation-log.ts'
import { operationRequestFromJson } from './request-parameters.ts'

// JSON in, JSON out: what gateways send, without the Fetch API objects that Yoga creates for every request.
// https://graphql.github.io/graphql-over-http/draft/

const json = 'application/json'
const graphqlJson = 'application/graphql-response+json'
type JsonType = typeof json | typeof graphqlJson

/**
 * The type to respond in, for a request that this module answers: a POST of JSON whose client prefers JSON. Undefined
 * for any other request. Nothing but the method and the headers decides.
 */
export function jsonTypeOf({ method, headers }: IncomingMessage): JsonType | undefined {
  if (method !== 'POST' || headers['content-encoding'] || !isJson(headers['content-type'])) return undefined
  const { accept } = headers
  if (!accept || accept === '*/*' || accept === json) return json
  const preferred = new Negotiator({ headers }).mediaType([json, graphqlJson, 'text/event-stream'])
  return preferred === json || preferred === graphqlJson ? preferred : undefined
}

function isJson(contentType: string | undefined): boolean {
  return contentType === json || /^application\/json *(; *charset="?utf-8"?)?$/i.test(contentType ?? '')
}

export interface JsonPostOptions {
  engine: GraphQLEngine
  errorMask: ErrorMask
}

/**
 * Answers a request for which `jsonTypeOf` named a type. Returns false, with nothing executed and nothing sent, for a
 * subscription, which is answered with an event stream.
 * @throws InvalidInputError where the body is not a GraphQL request
 */
export async function answerJsonPost(
  { engine, errorMask }: JsonPostOptions,
  response: ServerResponse,
  body: Buffer,
  type: JsonType,
  principal: Principal | null,
  record: OperationRecord,
): Promise<boolean> {
  const request = operationRequestFromJson(body.toString())
  const turn = engine.turnToPrepare(request.query, principal)
  if (turn) await turn
  const prepared = engine.prepare(request, principal === null)
  if (!('document' in prepared)) {
    // The specification wants 200 for an invalid document where the client takes nothing but application/json.
    sendResult(response, { errors: errorMask.maskAll(prepared) }, type, record, type === json ? 200 : 400)
    return true
  }
  record.noteOperation(prepared.label)
  if (prepared.operation?.operation === 'subscription') return false
  const result = await engine.execute(await engine.argsOf(prepared, request, principal))
  // Without data nothing was executed, for instance because of the variables.
  sendResult(response, result, type, record, 'data' in result ? 200 : statusOfErrors(result.errors))
  return true
}

function sendResult(
  response: ServerResponse,
  result: ExecutionResult,
  type: JsonType,
  record: OperationRecord,
  status: number,
): void {
  record.noteErrors(result.errors)
  sendText(response, status, JSON.stringify(result), `${type}; charset=utf-8`)
}

function statusOfErrors(errors: readonly GraphQLError[] | undefined): number {
  return statusOf[errors?.[0]?.extensions.code as LatchkeyErrorCode] ?? 500
}
