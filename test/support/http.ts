import { expect } from 'vitest'
import type { TestApp } from './app.ts'

/** Every code that an error in the `errors` of a response may have. */
export const topLevelCodes = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'QUERY_TOO_COMPLEX',
  'OVERLOADED',
  'UNAVAILABLE',
  'INTERNAL_SERVER_ERROR',
]

interface Answer {
  errors?: { message: string; extensions: { code: string } }[] | undefined
}

export interface HttpAnswer extends Answer {
  status: number
  headers: Headers
  text: string
  data?: unknown
}

/** Expects what every refusal promises: a known code, a readable message, and nothing internal. */
export function expectRefusal(answer: Answer, code: string): void {
  expect(answer.errors, JSON.stringify(answer).slice(0, 1_000)).toBeInstanceOf(Array)
  for (const { message, extensions } of answer.errors ?? []) {
    expect(topLevelCodes).toContain(extensions.code)
    expect(message.length).toBeGreaterThan(10)
    expect(Object.keys(extensions).filter((key) => key !== 'code' && key !== 'issues')).toEqual([])
  }
  expect(answer.errors?.map(({ extensions }) => extensions.code)).toContain(code)
  expectNothingInternal(JSON.stringify(answer))
}

/** Expects no stack, no SQL, and no name of a library or a file. */
export function expectNothingInternal(text: string): void {
  expect(text).not.toMatch(
    /originalError|stacktrace|node_modules|\.ts:\d|\.js:\d|prisma|pothos|postgres|"stack"|\bselect .* from\b/i,
  )
}

/** Everything in the database, to compare before and after. */
export async function contentsOf(app: TestApp): Promise<Record<string, unknown[]>> {
  const tables = await app.sql<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  )
  const contents: Record<string, unknown[]> = {}
  for (const { name } of tables)
    contents[name] = await app.sql(`select row_to_json(t)::text as row from "${name}" t order by 1`)
  return contents
}

/** Sends an operation as JSON and resolves to the response, whatever it is. */
export async function post(
  app: { url: string },
  body: unknown,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
  })
  return await answerOf(response)
}

/** Reads a response to its end. */
export async function answerOf(response: Response): Promise<HttpAnswer> {
  const text = await response.text()
  let parsed: object
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = {}
  }
  return { ...parsed, status: response.status, headers: response.headers, text }
}
