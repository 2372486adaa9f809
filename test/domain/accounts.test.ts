import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createGateway } from '../support/customer.ts'
import { SaveAccount } from '../support/operations.ts'

const saveAccount = async (app: TestApp, externalId: string) => {
  const input = { externalId, name: externalId, plan: 'free' }
  const as = await app.token({ scopes: ['admin'] })
  const { saveAccount } = (await app.query(SaveAccount, { as, variables: { input } })).data
  if (saveAccount.__typename !== 'SaveAccountPayload') throw new Error(saveAccount.message)
  return saveAccount
}

const keysSeenBy = async (app: TestApp, account: string) => {
  const as = await app.token({ account, scopes: customerScopes })
  const query = '{ account { apiKeys { totalCount } } }'
  const { data } = await app.query<{ account: { apiKeys: { totalCount: number } } }, never>(query, { as })
  return data.account.apiKeys.totalCount
}

describe.each([
  { secrets: 'are shown once', environment: { NODE_ENV: 'production', KEY_ENCRYPTION_KEYS: '' }, byClaim: 0 },
  { secrets: 'are recoverable', environment: {} as Record<string, string>, byClaim: 1 },
])('the first key of an account, where secrets $secrets,', ({ environment, byClaim }) => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp({ environment })
  })
  afterAll(() => app.stop())

  it('is returned with its secret by the saveAccount that created the account, and never again', async () => {
    const { firstSecret, account } = await saveAccount(app, 'saved')
    expect(account.apiKeys.totalCount).toBe(1)
    const gateway = await createGateway(app)
    expect(await gateway.meter(firstSecret ?? '')).toMatchObject({ code: 'ADMITTED' })
    expect((await saveAccount(app, 'saved')).firstSecret).toBeNull()
    expect(await keysSeenBy(app, 'saved')).toBe(1)
  })

  it(`${byClaim ? 'exists' : 'does not exist'} if the claim of a token created the account`, async () => {
    expect(await keysSeenBy(app, 'claimed')).toBe(byClaim)
    expect((await saveAccount(app, 'claimed')).firstSecret).toBeNull()
    expect(await keysSeenBy(app, 'claimed')).toBe(byClaim)
  })
})
