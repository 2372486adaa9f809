import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databasesInTurn, startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer, createGateway } from '../support/customer.ts'
import type { SaveAccountInput } from '../support/generated/graphql.ts'
import { RemoveAccount, RemoveApiKey, SaveAccounts, SetAccountSuspended } from '../support/operations.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'

const refused = (...paths: string[][]) => ({
  __typename: 'InvalidInput',
  issues: paths.map((path) => ({ path: ['input', ...path] })),
})

describe.each(databasesInTurn)('operators change accounts on %s:', (database) => {
  let app: TestApp
  let as: string
  let gateway: Awaited<ReturnType<typeof createGateway>>
  beforeAll(async () => {
    app = await startApp({ database })
    as = await app.token({ scopes: ['admin'] })
    gateway = await createGateway(app)
  })
  afterAll(() => app.stop())

  const saveAccounts = async (accounts: SaveAccountInput[]) =>
    (await app.query(SaveAccounts, { as, variables: { accounts } })).data.saveAccounts
  const removeAccount = async (externalId: string) =>
    (await app.query(RemoveAccount, { as, variables: { externalId } })).data.removeAccount
  const suspend = async (externalId: string, suspended: boolean) =>
    (await app.query(SetAccountSuspended, { as, variables: { externalId, suspended } })).data
      .setAccountSuspended

  /** What happens to a watcher of the account's live counts during a change. */
  async function snapshotAfter(customer: Customer, change: () => Promise<unknown>) {
    const watcher = new LiveUsageWatcher(app, customer.token)
    await watcher.until(({ events }) => events.length > 0)
    const before = watcher.events.length
    await change()
    await watcher.until(({ events }) => events.length > before)
    await watcher.close()
    return watcher.events[before]
  }

  describe('saveAccounts', () => {
    const account = (externalId: string, plan = 'free') => ({ externalId, name: externalId, plan })

    it('creates accounts, returns the secret of each first key, and updates those that exist', async () => {
      const created = await saveAccounts([account('one'), account('two', 'business')])
      const saved = 'accounts' in created ? created.accounts : []
      expect(saved).toMatchObject([
        { account: { externalId: 'one', plan: { slug: 'free' }, apiKeys: { totalCount: 1 } } },
        { account: { externalId: 'two', plan: { slug: 'business' }, apiKeys: { totalCount: 1 } } },
      ])
      for (const { firstSecret } of saved)
        expect(await gateway.meter(firstSecret ?? '')).toMatchObject({ code: 'ADMITTED' })

      const again = await saveAccounts([account('three'), { ...account('one', 'business'), name: 'Renamed' }])
      expect(again).toMatchObject({
        accounts: [
          { firstSecret: expect.any(String), account: { externalId: 'three' } },
          {
            firstSecret: null,
            account: { name: 'Renamed', plan: { slug: 'business' }, apiKeys: { totalCount: 1 } },
          },
        ],
      })
    })

    it('makes no key where the plan allows none', async () => {
      await app.services.catalogue.savePlan({
        slug: 'none',
        name: 'None',
        maxApiKeys: 0,
        monthlyCallQuota: null,
      })
      expect(await saveAccounts([account('keyless', 'none'), account('with a key')])).toMatchObject({
        accounts: [
          { firstSecret: null, account: { apiKeys: { totalCount: 0 } } },
          { firstSecret: expect.any(String), account: { apiKeys: { totalCount: 1 } } },
        ],
      })
    })

    it.each<[string, SaveAccountInput[], string[][]]>([
      [
        'unknown plans',
        [account('fresh'), account('one', 'nope'), account('x', '\u0000')],
        [
          ['accounts', '1', 'plan'],
          ['accounts', '2', 'plan'],
        ],
      ],
      [
        'an account twice',
        [account('fresh'), account('fresh', 'business')],
        [['accounts', '1', 'externalId']],
      ],
      ['an empty name', [account('fresh'), { ...account('other'), name: ' ' }], [['accounts', '1', 'name']]],
      [
        'an external id with NUL',
        [account('fresh'), { ...account('a\u0000'), name: 'x' }],
        [['accounts', '1', 'externalId']],
      ],
      [
        'more than 1,000 accounts',
        Array.from({ length: 1_001 }, (_, i) => account(`fresh${i || ''}`)),
        [['accounts']],
      ],
    ])('saves none of a list with %s, and says which are at fault', async (_what, accounts, paths) => {
      const before = await app.sql('select id, name, plan_id from account order by id')
      expect(await saveAccounts(accounts)).toMatchObject(refused(...paths))
      expect(await app.sql('select id, name, plan_id from account order by id')).toEqual(before)
    })

    it('takes an empty list', async () => {
      expect(await saveAccounts([])).toMatchObject({ accounts: [] })
    })

    it('saves 1,000 accounts and tells the first secret of each', async () => {
      const accounts = Array.from({ length: 1_000 }, (_, i) => account(`many-${i}`))
      const mutation = `mutation ($accounts: [SaveAccountInput!]!) { saveAccounts(input: { accounts: $accounts }) {
        ... on SaveAccountsPayload { accounts { firstSecret account { id externalId name plan { slug } } } } } }`
      const { data } = await app.query<{ saveAccounts: { accounts: Saved[] } }, object>(mutation, {
        ...{ as, variables: { accounts } },
      })
      const saved = data.saveAccounts.accounts
      expect(saved.map((one) => one.account.externalId)).toEqual(accounts.map(({ externalId }) => externalId))
      expect(new Set(saved.map(({ firstSecret }) => firstSecret)).size).toBe(1_000)
    })

    it('makes one account with one key, however many lists name it at once', async () => {
      const lists = Array.from({ length: 8 }, (_, i) => {
        const accounts = Array.from({ length: 20 }, (_, n) => account(`raced-${n}`))
        return i % 2 ? accounts : accounts.reverse()
      })
      const results = await Promise.all(lists.map(saveAccounts))
      const secrets = results.flatMap((saved) => ('accounts' in saved ? saved.accounts : []))
      expect(secrets).toHaveLength(8 * 20)
      expect(secrets.filter(({ firstSecret }) => firstSecret !== null)).toHaveLength(20)
      expect(secrets.map((saved) => saved.account.apiKeys.totalCount)).toEqual(Array(8 * 20).fill(1))
    })

    it('sends the watchers of the accounts that it changed a fresh snapshot', async () => {
      const customer = await createCustomer(app, { monthlyCallQuota: 10 })
      const event = await snapshotAfter(customer, () =>
        saveAccounts([account(customer.externalId, 'business')]),
      )
      expect(event).toMatchObject({ snapshot: true, account: { quota: 20_000 } })
    })
  })

  describe('setAccountSuspended', () => {
    it('suspends an account and ends that, as often as it is asked', async () => {
      const customer = await createCustomer(app)
      const { externalId } = await customer.account()
      for (const suspended of [true, true, false, false])
        expect(await suspend(externalId, suspended)).toMatchObject({ account: { externalId, suspended } })
    })

    it('sends watchers a fresh snapshot', async () => {
      const customer = await createCustomer(app)
      const event = await snapshotAfter(customer, () => suspend(customer.externalId, true))
      expect(event).toMatchObject({ snapshot: true })
    })
  })

  describe('removeAccount', () => {
    it('removes an account with its keys, usage and limits, and refuses its keys', async () => {
      const customer = await createCustomer(app, { maxApiKeys: 5 })
      const access = { mode: 'RESTRICTED' as const, apiCalls: ['v3.ping'] }
      const [full, restricted] = [await customer.addApiKey(), await customer.addApiKey({ access })]
      await gateway.meter(full.secret)
      await gateway.meter(restricted.secret)
      await app.query(RemoveApiKey, { as: customer.token, variables: { id: restricted.apiKey.id } })
      const accountId = await app.services.accounts.find(customer.externalId)
      await app.sql(`insert into rate_bucket values ('${accountId}', '${accountId}', 1, now(), 1)`)
      const neighbour = await createCustomer(app, {})
      const theirs = await neighbour.addApiKey()
      await gateway.meter(theirs.secret)

      const keyIds = (
        await app.sql<{ id: string }>(`select id from api_key where account_id = '${accountId}'`)
      ).map(({ id }) => `'${id}'`)
      expect(keyIds).toHaveLength(3)
      expect(await removeAccount(customer.externalId)).toHaveProperty('removedAccountId')
      expect(await removeAccount(customer.externalId)).toMatchObject({ __typename: 'NotFound' })
      expect((await gateway.meter(full.secret)).code).toBe('KEY_INVALID')
      for (const [table, column, ids] of [
        ['account', 'id', [`'${accountId}'`]],
        ['account_usage', 'account_id', [`'${accountId}'`]],
        ['rate_bucket', 'account_id', [`'${accountId}'`]],
        ['api_key', 'account_id', [`'${accountId}'`]],
        ['api_key_usage', 'api_key_id', keyIds],
        ['api_key_api_call', 'api_key_id', keyIds],
      ] as const)
        expect([table, await app.sql(`select from ${table} where ${column} in (${ids})`)]).toEqual([
          table,
          [],
        ])
      expect(await gateway.meter(theirs.secret)).toMatchObject({ code: 'ADMITTED', apiKeyCalls: 2 })
    })

    it('removes an account with thousands of keys', async () => {
      const { externalId, account } = await createCustomer(app)
      await account()
      await app.sql(`
        insert into api_key (id, account_id, start, access_mode, created_at, removed_at)
        select gen_random_uuid(), account.id, 'lk_', 'FULL', now(), case when n % 2 = 0 then now() end
        from account, generate_series(1, 2500) n where external_id = '${externalId}'`)
      const before = await app.services.prisma.apiKey.count()
      expect(await removeAccount(externalId)).toHaveProperty('removedAccountId')
      expect(await app.services.prisma.apiKey.count()).toBe(before - 2_501)
    })

    it('empties the list of those who watch the account', async () => {
      const customer = await createCustomer(app)
      const event = await snapshotAfter(customer, () => removeAccount(customer.externalId))
      expect(event).toMatchObject({ snapshot: true, apiKeys: [] })
    })

    it('lets a token that still names the account create it anew, without its history', async () => {
      const customer = await createCustomer(app, {})
      const { secret } = await customer.addApiKey()
      await gateway.meter(secret)
      await removeAccount(customer.externalId)
      expect(await customer.account()).toMatchObject({ plan: { slug: 'free' }, usage: { calls: 0 } })
    })

    it('succeeds for one of many who ask at once, and tells the others that there is no such account', async () => {
      const customer = await createCustomer(app, {})
      const results = await Promise.all(Array.from({ length: 8 }, () => removeAccount(customer.externalId)))
      const removals = results.filter(({ __typename }) => __typename === 'RemoveAccountPayload')
      expect(removals.length).toBeGreaterThan(0)
      expect(results.filter(({ __typename }) => __typename === 'NotFound').length).toBe(8 - removals.length)
    })
  })

  it.each(['nobody', 'x'.repeat(255)])('there is no account %j to suspend or remove', async (externalId) => {
    expect(await suspend(externalId, true)).toMatchObject({ __typename: 'NotFound' })
    expect(await removeAccount(externalId)).toMatchObject({ __typename: 'NotFound' })
  })

  it.each(['', '\u0000', 'x'.repeat(256)])('%j cannot be an external id', async (externalId) => {
    expect(await suspend(externalId, true)).toMatchObject(refused(['externalId']))
    expect(await removeAccount(externalId)).toMatchObject(refused(['externalId']))
  })

  it('only operators may', async () => {
    const { token } = await createCustomer(app)
    for (const [document, variables] of [
      [SaveAccounts, { accounts: [] }],
      [SetAccountSuspended, { externalId: 'one', suspended: true }],
      [RemoveAccount, { externalId: 'one' }],
    ] as const) {
      const { errors } = await app.query<unknown, unknown>(document as never, { as: token, variables })
      expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
    }
  })
})

interface Saved {
  firstSecret: string
  account: { externalId: string }
}
