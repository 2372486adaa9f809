import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { SaveAccount } from '../support/operations.ts'

describe('the limit on accounts that the claims of tokens create', () => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp({ environment: { MAX_CREATED_ACCOUNTS_PER_MINUTE: '3' } })
  })
  afterAll(() => app.stop())

  const startMinute = (at: string) => app.clock.set(new Date(`2031-05-05T${at}:00Z`))
  const visit = async (account: string) => {
    const as = await app.token({ account, scopes: customerScopes })
    const { errors } = await app.query('{ account { externalId } }', { as })
    return errors?.[0]?.extensions.code ?? 'answered'
  }

  it('refuses further ones with OVERLOADED until the next minute, and no account that exists', async () => {
    startMinute('10:00')
    // Requests at the same time create one account, and count once.
    await Promise.all(Array.from({ length: 3 }, () => visit('a')))
    for (const account of ['b', 'c']) expect(await visit(account)).toBe('answered')
    expect(await visit('d')).toBe('OVERLOADED')
    expect(await app.sql('select from account where external_id = $1', 'd')).toEqual([])
    expect(await visit('a')).toBe('answered')
    startMinute('10:01')
    expect(await visit('d')).toBe('answered')
    // A clock that is set back does not refuse anyone for longer.
    startMinute('09:30')
    expect(await visit('e')).toBe('answered')
  })

  it('does not apply to operators', async () => {
    startMinute('11:00')
    for (const account of ['f', 'g', 'h']) await visit(account)
    const operator = await app.token({ scopes: ['admin'] })
    const input = { externalId: 'i', name: 'I', plan: 'free' }
    const { data } = await app.query(SaveAccount, { as: operator, variables: { input } })
    expect(data.saveAccount.__typename).toBe('SaveAccountPayload')
  })
})
