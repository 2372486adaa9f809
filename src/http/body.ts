import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { InvalidInputError, OverloadedError } from '../errors.ts'

/** A body that is not read to its end, and the status that says why. */
export class BodyError extends InvalidInputError {
  readonly status: number

  constructor(status: number, message: string) {
    super([{ path: [], message }])
    this.status = status
  }
}

/** The client hung up before it had sent everything: there is nobody to answer. */
export class ClientGoneError extends Error {}

/** Of a body that is not taken, this many times the largest is let go by, so that the client comes to read why. */
const letGoByFactor = 16

/** Bodies that are being read hold this much in all: many clients could send the largest there are, and slowly. */
const maxBytesInAll = 67_108_864

/**
 * Makes what reads a request's whole body; of one that is not taken nothing is kept.
 * The promise rejects with BodyError, OverloadedError and ClientGoneError.
 */
export function createBodyReader(maxBytes: number): (request: IncomingMessage) => Promise<Buffer> {
  let bytesInAll = 0

  return (request) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let length = 0
      let held = 0
      const letGo = () => {
        bytesInAll -= held
        held = 0
      }
      const refuse = (error: Error) => {
        letGo()
        chunks.length = 0
        reject(error)
      }
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > maxBytes * letGoByFactor) request.destroy()
        if (length > maxBytes)
          return refuse(new BodyError(413, `The body is larger than ${maxBytes} bytes. Send less at a time.`))
        // Refused before: what still comes is let go by.
        if (held + chunk.length < length) return
        if (bytesInAll + chunk.length > maxBytesInAll)
          return refuse(new OverloadedError('Too many large requests are being read. Try again in a moment.'))
        held += chunk.length
        bytesInAll += chunk.length
        chunks.push(chunk)
      })
      // Of a client that hangs up there is an error only while somebody listens for it, but always a close.
      request.on('error', () => {})
      request.once('close', () => {
        if (!request.complete) refuse(new ClientGoneError())
      })
      request.once('end', () => {
        letGo()
        const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
        if (isUtf8(body)) resolve(body)
        else reject(new BodyError(400, 'The body is not valid UTF-8.'))
      })
    })
}
