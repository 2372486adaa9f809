import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { createCustomer } from '../support/customer.ts'

interface Nodes {
  nodes: ({ __typename: string; id: string } | null)[]
}

const nodes = 'query Nodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }'
const globalId = (type: string, id: string = randomUUID()) =>
  Buffer.from(`${type}:${id}`).toString('base64url')

describe('node and nodes', () => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp()
  })
  afterAll(() => app.stop())

  it('return objects in order, with null for unknown, malformed and foreign ids', async () => {
    const [mine, theirs] = [await createCustomer(app), await createCustomer(app)]
    const { id, apiKeys } = await mine.account()
    const foreign = await theirs.account()
    const keyId = apiKeys.nodes[0]?.id ?? ''
    const out = [
      globalId('ApiKey'),
      globalId('Account'),
      globalId('Plan'),
      globalId('ApiCall'),
      globalId('Viewer'),
      'no id at all',
      '',
      foreign.id,
      foreign.apiKeys.nodes[0]?.id ?? '',
    ]
    const { data, errors } = await app.query<Nodes, object>(nodes, {
      as: mine.token,
      variables: { ids: [id, ...out, keyId] },
    })
    expect(errors).toBeUndefined()
    expect(data.nodes).toEqual([
      { __typename: 'Account', id },
      ...out.map(() => null),
      { __typename: 'ApiKey', id: keyId },
    ])
    for (const unknown of out) {
      const one = await app.query<{ node: unknown }, object>(
        'query Node($id: ID!) { node(id: $id) { id } }',
        {
          as: mine.token,
          variables: { id: unknown },
        },
      )
      expect(one).toMatchObject({ status: 200, data: { node: null } })
      expect(one.errors).toBeUndefined()
    }
  })

  it('accept up to 100 ids, and none of a longer list', async () => {
    const { token } = await createCustomer(app)
    const ask = (count: number) =>
      app.query<Nodes, object>(nodes, {
        as: token,
        variables: { ids: Array.from({ length: count }, () => globalId('ApiKey')) },
      })
    expect((await ask(100)).data.nodes).toHaveLength(100)
    expect((await ask(101)).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
  })
})
