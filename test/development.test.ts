import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoAccount, seedDemoAccount } from '../src/development.ts'
import { databases, startApp, type TestApp } from './support/app.ts'

describe.each(databases)('the demo account on %s', (database) => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp({ database })
  })
  afterAll(() => app.stop())

  it('is created once, with two keys, by servers that start at the same time', async () => {
    await Promise.all(Array.from({ length: 6 }, () => seedDemoAccount(app.services)))
    const keys = await app.sql(
      'select note from api_key join account on account.id = account_id where external_id = $1 order by api_key.id',
      demoAccount,
    )
    expect(keys).toEqual([{ note: 'Backend' }, { note: 'Status page, read only' }])
  })
})
