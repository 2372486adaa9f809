import { readFileSync } from 'node:fs'
import { buildSchema, findBreakingChanges } from 'graphql'
import { describe, expect, it } from 'vitest'
import { printedSchema } from '../../src/schema/index.ts'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

/** What the contract says about every connection in a comment. */
const connection = (name: string, node: string) => `
  type ${name} {
    edges: [${name}Edge!]!
    nodes: [${node}!]!
    pageInfo: PageInfo!
    totalCount: Int!
  }
  type ${name}Edge { cursor: String!  node: ${node}! }`

const pageInfo = `
  type PageInfo { hasNextPage: Boolean!  hasPreviousPage: Boolean!  startCursor: String  endCursor: String }`

const contract = [
  read('contract.graphql'),
  connection('QueryAccountsConnection', 'Account'),
  connection('AccountApiKeysConnection', 'ApiKey'),
  pageInfo,
].join('\n')

describe('schema.graphql', () => {
  it('is up to date with the code', () => {
    expect(read('../../schema.graphql')).toBe(printedSchema())
  })

  it('holds all of the public contract', () => {
    expect(findBreakingChanges(buildSchema(contract), buildSchema(read('../../schema.graphql')))).toEqual([])
  })

  it('is compared by a check that finds breaking changes', () => {
    const broken = read('../../schema.graphql').replace('regeneratedAt: DateTime', 'regeneratedOn: DateTime')
    expect(findBreakingChanges(buildSchema(contract), buildSchema(broken))).toHaveLength(1)
  })
})
