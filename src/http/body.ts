import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { InvalidInputError, OverloadedError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'

/** The body is not acceptable. `status` says why. */
export class BodyError extends InvalidInputError {
  readonly status: number

  constructor(status: number, message: string) {
    super([{ path: [], message }])
    this.status = status
  }
}

/** The client disconnected before its request was complete: there is nobody to respond to. */
export class ClientGoneError extends Error {}

/** A body that is too large is discarded up to this multiple of the limit, so that the client reads the refusal. */
const discardFactor = 16

const tooManyBodies = new OverloadedError(
  'Too many large requests are being received. Try again in a moment.',
)

/** Reads a request's whole body. @throws BodyError, OverloadedError, ClientGoneError */
export type ReadBody = (request: IncomingMessage) => Promise<Buffer>

/** Nothing is kept of a body that is refused. All bodies together are bounded, whoever sends them. */
export function createBodyReader(maxBytes: number): ReadBody {
  let bytesInAll = 0

  return (request) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let received = 0
      let held = 0
      let refused = false
      const release = () => {
        bytesInAll -= held
        held = 0
      }
      const refuse = (error: Error) => {
        refused = true
        release()
        chunks.length = 0
        reject(error)
      }
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
        if (received > maxBytes * discardFactor) request.destroy()
        if (refused) return
        if (received > maxBytes)
          return refuse(new BodyError(413, `The body is larger than ${maxBytes} bytes. Send less at a time.`))
        if (bytesInAll + chunk.length > fixedLimits.bodiesBytes) return refuse(tooManyBodies)
        held += chunk.length
        bytesInAll += chunk.length
        chunks.push(chunk)
      })
      // Without a listener, the error of a client that disconnects would end the process. `close` follows it.
      request.on('error', () => {})
      request.once('close', () => {
        if (!request.complete) refuse(new ClientGoneError())
      })
      request.once('end', () => {
        release()
        const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
        if (isUtf8(body)) resolve(body)
        else reject(new BodyError(400, 'The body is not valid UTF-8.'))
      })
    })
}
