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

/** Who sends a body: one without a token, one who may not meter, or one who may. */
export type Sender = 'stranger' | 'customer' | 'gateway'

/** Reads and discards bodies. */
export interface Bodies {
  /**
   * Reads a request's whole body. A stranger's must be small, and only a gateway's may use the share of memory that is
   * reserved for metering. @throws BodyError, OverloadedError, ClientGoneError
   */
  read(request: IncomingMessage, sender: Sender): Promise<Buffer>
  /**
   * Reads a body and keeps nothing of it. A client that is still sending when the response arrives may not get to read
   * it. @throws ClientGoneError
   */
  discard(request: IncomingMessage): Promise<void>
}

/** Nothing is kept of a body that is refused. All bodies together are bounded, whoever sends them. */
export function createBodies(maxBytes: number): Bodies {
  const { bodiesBytes, meteringBodiesBytes, strangersMessageBytes } = fixedLimits
  let bytesInAll = 0

  /** Passes the chunks to `take` until it throws, which is what it rejects with. The rest is read and discarded. */
  function receive(request: IncomingMessage, take: (chunk: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let received = 0
      let refusal: unknown
      if (request.destroyed) return reject(new ClientGoneError())
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
        if (received > maxBytes * discardFactor) request.destroy()
        if (refusal) return
        try {
          take(chunk)
        } catch (error) {
          refusal = error
          reject(error)
        }
      })
      // Without a listener, the error of a client that disconnects would end the process. `close` follows it.
      request.on('error', () => {})
      request.once('close', () => {
        if (!request.complete) reject(new ClientGoneError())
      })
      request.once('end', resolve)
    })
  }

  return {
    discard: (request) => receive(request, () => {}),
    async read(request, sender) {
      const inAll = sender === 'gateway' ? bodiesBytes : bodiesBytes - meteringBodiesBytes
      const most = sender === 'stranger' ? Math.min(strangersMessageBytes, maxBytes) : maxBytes
      const chunks: Buffer[] = []
      let held = 0
      let body: Buffer
      try {
        await receive(request, (chunk) => {
          if (held + chunk.length > most)
            throw new BodyError(413, `The body is larger than ${most} bytes. Send less at a time.`)
          if (bytesInAll + chunk.length > inAll) throw tooManyBodies
          held += chunk.length
          bytesInAll += chunk.length
          chunks.push(chunk)
        })
        body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
      } finally {
        bytesInAll -= held
        chunks.length = 0
      }
      if (!isUtf8(body)) throw new BodyError(400, 'The body is not valid UTF-8.')
      return body
    },
  }
}
