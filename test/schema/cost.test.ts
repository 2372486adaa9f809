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

  it('allows a whole page of keys with every field that the client area shows', async () => {
    const page = `{ account { name plan { name maxApiKeys } usage { calls quota remaining resetsAt } apiKeys(first: 100) {
      totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id start note secret lastCallAt createdAt
      regeneratedAt access { mode apiCalls { name title category kind } resources { type ids } allowedNetworks }
      enabled expiresAt previousSecretExpiresAt monthlyCallLimit rateLimit { calls perSeconds } usage { calls lastCallAt } } } } } }`
    expect(await codeOf(page)).toBeUndefined()
  })
})
