import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createStorage, databases, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import { AccountOverview, AddApiKey, RemoveApiKey } from '../support/operations.ts'

const environment = { MAX_ADDED_API_KEYS_PER_HOUR: '5' }
const minutes = (count: number) => count * 60_000
const advance = ({ clock }: TestApp, byMs: number) => clock.set(new Date(clock.now().getTime() + byMs))

describe.each(databases)('the limit on added keys, on %s', (database) => {
  let app: TestApp
  let customer: Customer
  let operator: string

  beforeAll(async () => {
    app = await startApp({ database, environment })
    operator = await app.token({ scopes: ['admin'] })
    customer = await createCustomer(app, { maxApiKeys: 100 })
    // The account's first key is an addition, too.
    advance(app, minutes(60))
  })
  afterAll(() => app.stop())

  const add = async (as = customer.token, accountId?: string) =>
    (await app.query(AddApiKey, { as, variables: { input: accountId ? { accountId } : {} } })).data.addApiKey
  const addAndRemove = async () => {
    const { apiKey } = await customer.addApiKey()
    await app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } })
  }

  it('holds for an account within any hour, removed keys included, and says when to try again', async () => {
    for (let i = 0; i < 3; i++) await addAndRemove()
    advance(app, minutes(58))
    for (let i = 0; i < 2; i++) await addAndRemove()
    const refused = await add()
    const message = refused.__typename === 'InvalidInput' ? (refused.issues[0]?.message ?? '') : ''
    const [, nextAt = ''] =
      /^At most 5 keys may be added to an account within an hour. Try again after (.+)\.$/.exec(message) ?? []
    expect(refused).toMatchObject({ issues: [{ path: ['input'] }] })
    app.clock.set(new Date(Date.parse(nextAt) - 20_000))
    expect(await add()).toMatchObject({ __typename: 'InvalidInput' })
    app.clock.set(new Date(nextAt))
    await addAndRemove()
    advance(app, minutes(1))
    for (let i = 0; i < 2; i++) await addAndRemove()
    expect(await add()).toMatchObject({ __typename: 'InvalidInput' })
  })

  it('does not apply to operators, nor to other accounts', async () => {
    const { id } = await customer.account()
    for (let i = 0; i < 6; i++)
      expect(await add(operator, id)).toMatchObject({ __typename: 'AddApiKeyPayload' })
    expect(await add()).toMatchObject({ __typename: 'InvalidInput' })
    await createCustomer(app, { maxApiKeys: 3 }).then((other) => other.addApiKey())
  })
})

describe.runIf(inject('postgres'))('keys that are added on several servers', () => {
  let storage: TestStorage
  let servers: TestApp[]

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    const first = await startApp({ storage, environment })
    servers = [first, ...(await Promise.all([1, 2].map(() => startApp({ storage, environment }))))]
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await storage.drop()
  })

  it('are exactly as many as the limit, when 30 are tried at once', async () => {
    const customer = await createCustomer(servers[0] as TestApp, { maxApiKeys: 100 })
    for (const server of servers) advance(server, minutes(60))
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        (servers[i % 3] as TestApp).query(AddApiKey, { as: customer.token, variables: { input: {} } }),
      ),
    )
    const added = results.filter(({ data }) => data.addApiKey.__typename === 'AddApiKeyPayload')
    expect(added).toHaveLength(5)
  })
})

/** Part of a query plan, as `explain (format json)` prints it. */
interface PlanNode {
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

function rowsRead(node: PlanNode, table: string): number {
  const below = (node.Plans ?? []).reduce((sum, child) => sum + rowsRead(child, table), 0)
  if (node['Relation Name'] !== table) return below
  return below + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
}

describe.runIf(inject('postgres'))('an account with many removed keys', () => {
  let app: TestApp
  let customer: Customer
  const query = pg.Client.prototype.query
  const sent: { text: string; values: unknown[] }[] = []

  beforeAll(async () => {
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [config, values] = args as [{ text: string; values?: unknown[] }, unknown[]]
      if (config.text) sent.push({ text: config.text, values: config.values ?? values ?? [] })
      return (query as (...all: unknown[]) => unknown).apply(this, args)
    } as typeof query
    app = await startApp({ database: 'PostgreSQL' })
    customer = await createCustomer(app, { maxApiKeys: 10 })
    const accountId = await app.services.accounts.find(customer.externalId)
    const other = await app.services.accounts.find((await createCustomer(app, {})).externalId)
    for (const [id, removedAt] of [
      [accountId, new Date()],
      [other, null],
    ])
      await app.sql(
        `insert into api_key (id, account_id, start, access_mode, created_at, removed_at)
         select gen_random_uuid(), $1::uuid, 'lk_', 'FULL', timestamptz '2020-01-01', $2::timestamptz
         from generate_series(1, 20000)`,
        id,
        removedAt,
      )
    await app.sql('analyze api_key')
  })
  afterAll(async () => {
    pg.Client.prototype.query = query
    await app.stop()
  })

  async function rowsReadDuring(act: () => Promise<unknown>): Promise<number> {
    sent.length = 0
    await act()
    let rows = 0
    for (const { text, values } of sent.splice(0)) {
      if (!/^\s*select/i.test(text)) continue
      const [row] = await app.sql<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
        `explain (analyze, format json) ${text}`,
        ...values,
      )
      rows += rowsRead(row?.['QUERY PLAN'][0]?.Plan as PlanNode, 'api_key')
    }
    return rows
  }

  it('reads only the keys that are left, on the page of its keys', async () => {
    const page = () => app.query(AccountOverview, { as: customer.token, variables: {} })
    const read = await rowsReadDuring(page)
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(50)
  })

  it('reads only the latest additions when it adds a key', async () => {
    // Inside the function nothing can be explained: its statements are read from its source.
    const [row] = await app.sql<{ source: string }>(
      "select prosrc as source from pg_proc where proname = 'latchkey_add_api_key_within_rate'",
    )
    const [, count = ''] = /IF \((SELECT count.*?)\) >= key_limit/s.exec(row?.source ?? '') ?? []
    const [, latest = ''] = /INTO next_addition_at\s+(FROM api_key.*?);/s.exec(row?.source ?? '') ?? []
    const accountId = await app.services.accounts.find(customer.externalId)
    for (const statement of [count, `select created_at ${latest}`]) {
      const text = statement
        .replace('for_account', `'${accountId}'`)
        .replace('added_at -', "timestamptz '2020-01-01 00:30Z' -")
        .replace('most_per_hour - 1', '599')
      const [plan] = await app.sql<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
        `explain (analyze, format json) ${text}`,
      )
      const read = rowsRead(plan?.['QUERY PLAN'][0]?.Plan as PlanNode, 'api_key')
      expect(read, text).toBeGreaterThan(0)
      expect(read, text).toBeLessThanOrEqual(600)
    }
  })
})
