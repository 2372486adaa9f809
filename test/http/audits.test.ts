import { serverAudits } from 'graphql-http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpPaths, startApp, type TestApp } from '../support/app.ts'

describe.each(httpPaths)('GraphQL over HTTP by %s, by the audits of graphql-http', (_path, plainHttp) => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp({ plainHttp })
  })
  afterAll(() => app.stop())

  const audits = serverAudits({ url: () => `${app.url}/graphql`, fetchFn: fetch })

  it.each(audits.map(({ name, fn }) => [name, fn] as const))('%s', async (_, audit) => {
    const result = await audit()
    expect(result.status, 'reason' in result ? result.reason : undefined).toBe('ok')
  })
})
