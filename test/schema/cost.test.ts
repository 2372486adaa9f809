import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'

describe('the cost of an operation', () => {
  let app: TestApp
  let token: string
  beforeAll(async () => {
    app = await startApp()
    token = (await createCustomer(app)).token
  })
  afterAll(() => app.stop())

  const codeOf = async (query: string) => (await app.query(query, { as: token })).errors?.[0]?.extensions.code

  it('grows with the rows of a page and the months of a history', async () => {
    const history = (first: number, months: number) =>
      `{ account { apiKeys(first: ${first}) { nodes { id usageHistory(months: ${months}) { month calls } } } } }`
    expect(await codeOf(history(100, 12))).toBeUndefined()
    expect(await codeOf(history(1, 120))).toBeUndefined()
    expect(await codeOf(history(100, 120))).toBe('QUERY_TOO_COMPLEX')
    expect(await codeOf(history(100, 120).replace('nodes {', 'edges { node {').replace(/}$/, '}}'))).toBe(
      'QUERY_TOO_COMPLEX',
    )
  })

  it('allows a whole page of keys with every field that the client area shows and a year of history', async () => {
    const page = `{ account { name plan { name maxApiKeys } usage { calls quota remaining resetsAt } apiKeys(first: 100) {
      totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id start note secret lastCallAt createdAt
      regeneratedAt access { mode apiCalls { name title category kind } resources { type ids } allowedNetworks }
      enabled expiresAt previousSecretExpiresAt monthlyCallLimit rateLimit { calls perSeconds }
      usage { calls lastCallAt } usageHistory { month calls } } } } } }`
    expect(await codeOf(page)).toBeUndefined()
  })

  it('counts every id that nodes is given, repeated ones and those in variables included', async () => {
    const nodes = async (aliases: number, ids: string[]) => {
      const fields = Array.from({ length: aliases }, (_, i) => `a${i}: nodes(ids: $ids) { __typename }`)
      const query = `query ($ids: [ID!]!) { ${fields.join(' ')} }`
      return (await app.query<unknown, object>(query, { as: token, variables: { ids } })).errors?.[0]
        ?.extensions.code
    }
    expect(await nodes(145, ['x'])).toBeUndefined()
    expect(await nodes(40, Array(100).fill('x'))).toBeUndefined()
    expect(await nodes(50, Array(100).fill('x'))).toBe('QUERY_TOO_COMPLEX')
  })

  it('counts statements, in a list once for each row', async () => {
    const operator = await app.token({ scopes: ['admin'] })
    const accounts = async (field: string) =>
      (await app.query(`{ accounts(first: 100) { nodes { ${field} } } }`, { as: operator })).errors?.[0]
        ?.extensions.code
    const counts = Array.from({ length: 10 }, (_, i) => `a${i}: apiKeysRemaining`).join(' ')
    const names = Array.from({ length: 10 }, (_, i) => `a${i}: name`).join(' ')
    expect(await accounts(names)).toBeUndefined()
    expect(await accounts(counts)).toBe('QUERY_TOO_COMPLEX')
    expect(
      await accounts('apiKeysRemaining usage { calls } apiKeys(first: 1) { totalCount }'),
    ).toBeUndefined()
  })
})
