import { readFileSync } from 'node:fs'
import { buildSchema, isEnumType, isObjectType } from 'graphql'
import { CloseCode } from 'graphql-ws'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LatchkeyErrorCode } from '../src/errors.ts'
import { startApp, type TestApp } from './support/app.ts'
import { createCustomer } from './support/customer.ts'

const document = readFileSync('docs/errors.md', 'utf8')
const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))

/** The names in the document's third-level headings. */
const headings = [...document.matchAll(/^### (.+)$/gm)].flatMap(([, heading = '']) =>
  [...heading.matchAll(/`(\w+)`/g)].map(([, name]) => name),
)

/** The codes of the union in src/errors.ts, read from the source because types do not exist at run time. */
function errorCodes(): string[] {
  const [, union = ''] =
    /type LatchkeyErrorCode =([^/]*?)\n\n/.exec(readFileSync('src/errors.ts', 'utf8')) ?? []
  return [...union.matchAll(/'(\w+)'/g)].map(([, code = '']) => code)
}

function decisionCodes(): string[] {
  const type = schema.getType('ApiCallDecisionCode')
  return isEnumType(type) ? type.getValues().map(({ name }) => name) : []
}

function errorTypes(): string[] {
  return Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) && type.getInterfaces().some(({ name }) => name === 'Error'))
    .map(({ name }) => name)
}

describe('docs/errors.md', () => {
  it('documents every code and error type, and no other', () => {
    const known = [...errorCodes(), ...decisionCodes(), ...errorTypes()]
    expect(known.length).toBeGreaterThan(15)
    expect(headings.toSorted()).toEqual(known.toSorted())
  })

  it('documents every close code that a server sends', () => {
    const ofClients = [
      CloseCode.InternalClientError,
      CloseCode.BadResponse,
      CloseCode.ConnectionAcknowledgementTimeout,
    ]
    const ofServers = Object.values(CloseCode)
      .filter((code): code is CloseCode => typeof code === 'number')
      .filter((code) => !ofClients.includes(code))
    const documented = [...document.matchAll(/^\| (\d{4}) \|/gm)].map(([, code]) => Number(code))
    expect(documented.filter((code) => code >= 4_000)).toEqual(ofServers.toSorted())
    expect(documented.filter((code) => code < 4_000)).toEqual([1001, 1009, 1013])
  })
})

describe('a caller', () => {
  let app: TestApp
  let token: string

  beforeAll(async () => {
    app = await startApp()
    token = (await createCustomer(app)).token
  })
  afterAll(() => app.stop())

  const nested = (levels: number) =>
    `{ account ${'{ apiKeys { nodes { account '.repeat(levels)}{ id }${' } } }'.repeat(levels)} }`

  it.each<[LatchkeyErrorCode, string, string]>([
    ['UNAUTHENTICATED', '', '{ viewer { subject } }'],
    ['FORBIDDEN', 'customer', '{ accounts { totalCount } }'],
    ['BAD_USER_INPUT', 'customer', '{ account { apiKeys(first: 101) { totalCount } } }'],
    ['BAD_USER_INPUT', 'customer', '{ no such thing }'],
    ['QUERY_TOO_COMPLEX', 'customer', nested(5)],
    ['QUERY_TOO_COMPLEX', 'customer', `{ ${'viewer { subject } '.repeat(3_000)} }`],
  ])('receives %s (as %j: %j)', async (code, as, query) => {
    const { errors } = await app.query(query, { as: as ? token : undefined })
    expect([...new Set(errors?.map(({ extensions }) => extensions.code))]).toEqual([code])
  })

  it('learns which scope is missing', async () => {
    const { errors } = await app.query(
      'mutation { saveApiCall(input: { name: "a", title: "a", category: "a", kind: READ }) { __typename } }',
      { as: token },
    )
    expect(errors?.[0]?.message).toMatch(/: admin\.$/)
  })
})
