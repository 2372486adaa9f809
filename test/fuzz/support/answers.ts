import { expect } from 'vitest'
import { expectNothingInternal, topLevelCodes } from '../../support/http.ts'

/** Statuses that a request may be answered with. Not 500: whatever a client sends is the client's mistake. */
const statuses = [200, 204, 400, 401, 403, 404, 405, 406, 408, 413, 415, 417, 426, 431, 501, 503]

/** The codes that a WebSocket may be closed with when the client does something wrong. */
export const closeCodes = [1000, 1002, 1003, 1005, 1006, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429]

interface GraphQLAnswer {
  data?: unknown
  errors?: { message: string; extensions?: { code?: string } }[]
  message?: string
}

/** The codes that errors may have. None says that the server is at fault. NOT_FOUND: a WebSocket at another path. */
const codes = [...topLevelCodes.filter((code) => code !== 'INTERNAL_SERVER_ERROR'), 'NOT_FOUND']

/** Expects errors with defined codes and readable messages. */
export function expectDefinedErrors(errors: GraphQLAnswer['errors']): void {
  for (const { message, extensions } of errors ?? []) {
    expect(codes, JSON.stringify(errors)).toContain(extensions?.code)
    expect(message.length).toBeGreaterThan(10)
  }
}

/** Expects a defined status and, for a refusal, one of the two formats: `errors`, or a `message`. */
export function expectDefinedAnswer(status: number, body: string): void {
  expect(statuses, body).toContain(status)
  expectNothingInternal(body)
  if (status < 400) return
  const { errors, message }: GraphQLAnswer = JSON.parse(body)
  if (errors === undefined) expect(message).toMatch(/\w{3}/)
  else {
    expect(errors).not.toHaveLength(0)
    expectDefinedErrors(errors)
  }
}

/** Splits what a connection received into answers. Answers to HEAD have no body. */
export function answersIn(bytes: string): { status: number; body: string }[] {
  const received = bytes.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '')
  const heads = [...received.matchAll(/HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g)]
  return heads.map(({ 1: status, index }, i) => {
    const answer = received.slice(index, heads[i + 1]?.index)
    const headEnd = answer.indexOf('\r\n\r\n')
    const content = answer.slice(headEnd + 4)
    const isChunked = /transfer-encoding: chunked/i.test(answer.slice(0, headEnd))
    return { status: Number(status), body: isChunked ? withoutChunks(content) : content }
  })
}

/** Removes the lengths between the chunks of a body. */
function withoutChunks(content: string): string {
  const [, length = '0'] = /^([\da-f]+)\r\n/i.exec(content) ?? []
  const from = length.length + 2
  const to = from + Number.parseInt(length, 16)
  return from === to ? '' : content.slice(from, to) + withoutChunks(content.slice(to + 2))
}
