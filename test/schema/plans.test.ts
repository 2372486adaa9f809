import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'
import { SaveAccount, SavePlan } from '../support/operations.ts'

interface PlanRow {
  id: string
  slug: string
  listed: boolean
}

describe('an unlisted plan', () => {
  let app: TestApp
  let operator: string
  let onIt: string
  let notOnIt: string
  let planId: string

  beforeAll(async () => {
    app = await startApp()
    operator = await app.token({ scopes: ['admin'] })
    const plan = { slug: 'custom-acme', name: 'For Acme', maxApiKeys: 3, listed: false }
    await app.query(SavePlan, { as: operator, variables: { input: plan } })
    await app.query(SaveAccount, {
      as: operator,
      variables: { input: { externalId: 'acme', name: 'Acme', plan: plan.slug } },
    })
    onIt = await app.token({ account: 'acme', scopes: customerScopes })
    notOnIt = (await createCustomer(app)).token
    planId = (await plansOf(operator)).find(({ slug }) => slug === plan.slug)?.id ?? ''
  })
  afterAll(() => app.stop())

  const plansOf = async (as: string) =>
    (await app.query<{ plans: PlanRow[] }, never>('{ plans { id slug listed } }', { as })).data.plans
  const slugs = async (as: string) => (await plansOf(as)).map(({ slug }) => slug)
  const byId = async (as: string) => {
    const query = `{ node(id: "${planId}") { id } nodes(ids: ["${planId}"]) { id } }`
    return (await app.query<{ node: object | null; nodes: (object | null)[] }, never>(query, { as })).data
  }
  const listed = ['free', 'professional', 'business', 'enterprise']

  it('is seen by operators and by the accounts that are on it', async () => {
    for (const as of [operator, onIt]) {
      expect(await slugs(as)).toEqual([...listed, 'custom-acme'])
      expect(await byId(as)).toEqual({ node: { id: planId }, nodes: [{ id: planId }] })
    }
    const own = '{ account { plan { slug listed } } }'
    expect((await app.query(own, { as: onIt })).data).toEqual({
      account: { plan: { slug: 'custom-acme', listed: false } },
    })
  })

  it('is not seen by any other customer, in the list or by its id', async () => {
    const withoutAccount = await app.token({ scopes: ['keys:read'] })
    for (const as of [notOnIt, withoutAccount]) {
      expect(await slugs(as)).toEqual(listed)
      expect(await byId(as)).toEqual({ node: null, nodes: [null] })
    }
  })

  it('stays unlisted when it is saved without saying so, and is listed when that is said', async () => {
    const save = (more: { listed?: boolean }) =>
      app.query(SavePlan, {
        as: operator,
        variables: { input: { slug: 'custom-acme', name: 'Renamed', maxApiKeys: 3, ...more } },
      })
    await save({})
    expect(await slugs(notOnIt)).toEqual(listed)
    await save({ listed: true })
    expect(await slugs(notOnIt)).toEqual([...listed, 'custom-acme'])
    await save({ listed: false })
    expect(await slugs(notOnIt)).toEqual(listed)
  })
})
