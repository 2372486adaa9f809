import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes } from '../../src/development.ts'
import { fixedLimits } from '../../src/limits.ts'
import { createContext } from '../../src/schema/context.ts'
import { schema } from '../../src/schema/index.ts'
import type { Share } from '../../src/schema/share.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import { unshared } from '../support/share.ts'

const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0)

describe('the share of an operation', () => {
  const keyCount = 40
  let app: TestApp
  let customer: Customer

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app, { maxApiKeys: 100 })
    const existing = 100 - (await customer.account()).apiKeysRemaining
    const access = { mode: 'RESTRICTED', apiCalls: ['v3.ping', 'v3.account.limits'] } as const
    for (let i = existing; i < keyCount; i++)
      await customer.addApiKey({ access: { ...access, apiCalls: [...access.apiCalls] } })
  })
  afterAll(() => app.stop())

  /** Executes an operation of the customer with a share that notes what it is asked for. */
  async function execute<Data>(source: string, turn: Share['turn'] = unshared.turn) {
    const turns: number[] = []
    let [statements, running, mostAtOnce] = [0, 0, 0]
    const share: Share = {
      ...unshared,
      async statement(run) {
        statements++
        mostAtOnce = Math.max(mostAtOnce, ++running)
        try {
          return await run()
        } finally {
          running--
        }
      },
      turn(weight) {
        turns.push(weight)
        return turn(weight)
      },
    }
    const principal = {
      subject: 'customer',
      scopes: customerScopes,
      accountExternalId: customer.externalId,
      expiresAt: new Date(8.64e15),
    }
    const contextValue = await createContext(app.services, principal, share)
    const lookUps = statements
    const { data, errors } = await graphql({ schema, source, contextValue })
    expect(errors).toBeUndefined()
    return { data: data as Data, turns, lookUps, statements: statements - lookUps, mostAtOnce }
  }

  const inLaterTurns = () => new Promise<void>((resolve) => setImmediate(resolve))
  const keys = (selection: string, first = 100) => `{ account { apiKeys(first: ${first}) { ${selection} } } }`
  interface Keys {
    account: { apiKeys: { nodes: { id: string; account: { id: string } }[] } }
  }

  it('includes a turn for each part of a long list, and for each part of the lists in it', async () => {
    const query = keys('nodes { id note start lastCallAt usageHistory(months: 12) { month calls } }')
    const { data, turns } = await execute(query, inLaterTurns)
    expect(data).toEqual((await app.query(query, { as: customer.token })).data)
    expect(sum(turns)).toBe(keyCount * 6 + keyCount * 12 * 3)
    expect(Math.max(...turns)).toBeLessThanOrEqual(fixedLimits.fieldsPerPart)
  })

  it('counts the fields of fragments and of objects in a list, and of edges', async () => {
    const node = '{ ...Row ... on ApiKey { access { mode } } }'
    const query = `${keys(`edges { cursor node ${node} }`)} fragment Row on ApiKey { id usage { calls } }`
    expect(sum((await execute(query)).turns)).toBe(keyCount * 8)
  })

  it('includes a database connection for every statement, and never a second one for the same', async () => {
    expect(await execute('{ viewer { subject } }')).toMatchObject({ lookUps: 1, statements: 0 })
    expect(await execute(keys('totalCount nodes { id }'))).toMatchObject({ statements: 3 })
    const mutation =
      'mutation { setApiKeyNote(input: { id: "x" }) { __typename } removeApiKey(input: { id: "x" }) { __typename } }'
    expect(await execute(mutation)).toMatchObject({ statements: 2, mostAtOnce: 1 })
  })

  it('takes no more statements for a page of many keys than for one key', async () => {
    const all = `nodes { id secret lastCallAt access { mode apiCalls { name } } account { name }
      usage { calls apiKey { note } } usageHistory(months: 12) { calls } }`
    const many = await execute<Keys>(keys(all))
    expect(many.data.account.apiKeys.nodes).toHaveLength(keyCount)
    const one = await execute(keys(all.replace('nodes', 'x: nodes'), 1).replace('first: 1', 'last: 1'))
    // How many API calls the keys have is asked first, because there may be too many of them for one statement.
    expect(many.statements).toBe(one.statements + 1)
  })

  it('takes one statement for each type among the ids given to nodes', async () => {
    const { account } = (await execute<Keys>(keys('nodes { id account { id } }'))).data
    const rows = account.apiKeys.nodes.flatMap((key) => [key.id, key.account.id])
    const ids = [...rows, ...rows].slice(0, 100)
    const query = `{ nodes(ids: ${JSON.stringify(ids)}) { id } }`
    const { statements, data } = await execute<{ nodes: { id: string }[] }>(query)
    expect(data.nodes.map(({ id }) => id)).toEqual(ids)
    expect(statements).toBe(2)
  })
})
