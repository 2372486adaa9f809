import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { boundClient } from '../../src/schema/bound-client.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import { unshared } from '../support/share.ts'

/** Counts the statements that any connection opened in the meantime sends: each is a round trip. */
class StatementCounter {
  sent: string[] = []
  readonly #query = pg.Client.prototype.query

  constructor() {
    const { sent } = this
    const query = this.#query as (...args: unknown[]) => unknown
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [config] = args as [string | { text: string }]
      sent.push(typeof config === 'string' ? config : config.text)
      return query.apply(this, args)
    } as typeof pg.Client.prototype.query
  }

  async during(act: () => Promise<unknown>): Promise<number> {
    this.sent.length = 0
    await act()
    return this.sent.length
  }

  stop(): void {
    pg.Client.prototype.query = this.#query
  }
}

describe.runIf(inject('postgres'))('round trips to PostgreSQL', () => {
  let counter: StatementCounter
  let app: TestApp
  let customer: Customer
  let accountId: string
  const restricted = { mode: 'RESTRICTED', apiCalls: ['v3.ping', 'v3.account.limits'] } as const

  beforeAll(async () => {
    counter = new StatementCounter()
    app = await startApp({ database: 'PostgreSQL' })
    customer = await createCustomer(app, { maxApiKeys: 50 })
    accountId = (await app.services.accounts.find(customer.externalId)) as string
  })
  afterAll(async () => {
    await app.stop()
    counter.stop()
  })

  it('take one per change of a key, whatever its access', async () => {
    const { keys } = app.services
    const scope = { accountId }
    let id = ''
    const counts = [
      await counter.during(async () => {
        id = (await keys.add(accountId, null, { mode: 'FULL' })).apiKeyId
      }),
      await counter.during(() => keys.add(accountId, 'a note', restricted)),
      await counter.during(() => keys.regenerate(scope, id)),
      await counter.during(() => keys.setNote(scope, id, 'a note')),
      await counter.during(() => keys.configureAccess(scope, id, restricted)),
      await counter.during(() => keys.remove(scope, id)),
    ]
    expect(counts).toEqual([1, 1, 1, 1, 1, 1])
  })

  it('take one to change an account, and two to create one', async () => {
    const { accounts } = app.services
    const plan = `plan-of-${customer.externalId}`
    const changed = await counter.during(() =>
      accounts.save({ externalId: customer.externalId, name: 'Renamed', plan }),
    )
    const saved = await counter.during(() => accounts.save({ externalId: 'saved', name: 'New', plan }))
    const seen = await counter.during(() => accounts.findOrCreate('seen'))
    expect([changed, saved, seen]).toEqual([1, 2, 2])
  })

  it('take three for a whole addApiKey: the account of the token, the change, and the key that is selected; the account only once', async () => {
    const add = (selection: string) =>
      counter.during(async () => {
        const mutation = `mutation { addApiKey(input: {}) { __typename ... on AddApiKeyPayload { ${selection} } } }`
        const { data } = await app.query<{ addApiKey: { __typename: string } }, never>(mutation, {
          as: customer.token,
        })
        expect(data.addApiKey.__typename).toBe('AddApiKeyPayload')
      })
    expect(await add('secret apiKey { id note start }')).toBe(3)
    expect(await add('secret')).toBe(1)
  })

  it('are not shared by lookups of different operations, which would fail together', async () => {
    const { prisma } = app.services
    // New connections send something, too.
    const lookUps = async (lookUp: (externalId: string) => Promise<unknown>) => {
      await counter.during(() => Promise.all(['a', 'b'].map(lookUp)))
      return counter.sent.filter((text) => text.includes('external_id')).length
    }
    const findUnique = (client: typeof prisma) => async (externalId: string) =>
      await client.account.findUnique({ where: { externalId } })
    expect(await lookUps(findUnique(prisma))).toBe(1)
    expect(await lookUps(findUnique(boundClient(prisma, unshared)))).toBe(2)
    expect(await lookUps((externalId) => app.services.accounts.find(externalId))).toBe(2)
  })
})
