import { serverAudits } from 'graphql-http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'

describe('GraphQL over HTTP passes the audit of graphql-http', () => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp()
  })
  afterAll(() => app.stop())

  const audits = serverAudits({ url: () => `${app.url}/graphql`, fetchFn: fetch })

  it.each(audits.map(({ name, fn }) => [name, fn] as const))('%s', async (_, audit) => {
    const result = await audit()
    expect(result.status, 'reason' in result ? result.reason : undefined).toBe('ok')
  })
})
