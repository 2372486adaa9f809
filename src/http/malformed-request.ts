import type { Duplex } from 'node:stream'
import { InvalidInputError } from '../errors.ts'
import { refuseConnection } from './respond.ts'

/** The status and the message for each reason for which Node.js rejects a request before it reaches a handler. */
const reasons: Record<string, [status: number, message: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large. Send fewer or shorter ones.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the body are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
}

/** Sends malformed HTTP the same error format as every other refusal. A listener for `clientError`. */
export function refuseMalformedRequest({ code = '' }: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || code === 'ECONNRESET') return void socket.destroy()
  const [status, message] = reasons[code] ?? [400, 'The request is not valid HTTP.']
  refuseConnection(socket, new InvalidInputError([{ path: [], message }]), status)
}
