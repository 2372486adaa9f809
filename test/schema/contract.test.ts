import { readFileSync } from 'node:fs'
import { buildSchema, findBreakingChanges } from 'graphql'
import { describe, expect, it } from 'vitest'
import { printedSchema } from '../../src/schema/index.ts'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

/** What the contract says of every connection, without writing it out. */
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
  it('is what the code says', () => {
    expect(read('../../schema.graphql')).toBe(printedSchema())
  })

  it('holds all of the public contract', () => {
    expect(findBreakingChanges(buildSchema(contract), buildSchema(read('../../schema.graphql')))).toEqual([])
  })

  it('would be told from a schema that does not', () => {
    const broken = read('../../schema.graphql').replace('regeneratedAt: DateTime', 'regeneratedOn: DateTime')
    expect(findBreakingChanges(buildSchema(contract), buildSchema(broken))).toHaveLength(1)
  })
})
