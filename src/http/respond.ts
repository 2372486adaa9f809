import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { InvalidInputError, type LatchkeyError, type LatchkeyErrorCode } from '../errors.ts'

// The only place that writes error bodies, and that decides their HTTP status.

/** The HTTP status of a request that is refused with this code before anything is executed. */
export const statusOf: Readonly<Record<LatchkeyErrorCode, number>> = {
  BAD_USER_INPUT: 400,
  QUERY_TOO_COMPLEX: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  API_KEY_LIMIT_REACHED: 409,
  INTERNAL_SERVER_ERROR: 500,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
}

/** The `extensions` of an error as callers see it: the code and, for invalid input, every issue. */
export function extensionsOf(error: LatchkeyError) {
  return { code: error.code, ...(error instanceof InvalidInputError ? { issues: error.issues } : {}) }
}

/** GraphQL's list of errors, as JSON, with this one error. */
export function errorsJson(error: LatchkeyError): string {
  return JSON.stringify([{ message: error.message, extensions: extensionsOf(error) }])
}

/** The body of a GraphQL response with this one error. */
export function errorBody(error: LatchkeyError): string {
  return `{"errors":${errorsJson(error)}}`
}

/** Refuses a GraphQL request. `status` overrides the one that belongs to the error's code. */
export function sendRefusal(response: ServerResponse, error: LatchkeyError, status = statusOf[error.code]) {
  sendText(response, status, errorBody(error))
}

/** Refuses a request for something other than GraphQL. */
export function sendProblem(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { message })
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body))
}

/** Sends JSON that is text already. A client that has disconnected is sent nothing. */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = 'application/json; charset=utf-8',
): void {
  if (response.destroyed) return
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  })
  response.end(text)
}

/** How long a client has to read why its connection is being closed. */
const readWaitMs = 1_000

/** Refuses where there is no response object to write to: malformed HTTP, and upgrades. Closes the connection. */
export function refuseConnection(socket: Duplex, error: LatchkeyError, status = statusOf[error.code]): void {
  const body = errorBody(error)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // A client that is still sending would lose the response if the connection were closed at once.
  setTimeout(() => socket.destroy(), readWaitMs).unref()
}
