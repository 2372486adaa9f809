import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** What Node.js gives up on a request for, before there is one to handle. */
const refusals: Record<string, [status: number, message: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large. Send less of them.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunks of the body have extensions that are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time. Send it at once.'],
}

/** How long a client has to read why it was refused. */
const readWaitMs = 1_000

/** Answers what is not to be read as a request of HTTP as every refusal is answered, and closes the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
  const [status, message] = refusals[error.code ?? ''] ?? [400, 'The request is not valid HTTP.']
  const body = JSON.stringify({ errors: [{ message, extensions: { code: 'BAD_USER_INPUT' } }] })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Cut at once, a client that is still sending would lose the answer.
  setTimeout(() => socket.destroy(), readWaitMs).unref()
}
