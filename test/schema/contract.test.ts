import { readFileSync } from 'node:fs'
import { CriticalityLevel, diff } from '@graphql-inspector/core'
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

/** What would break a client that was written for version 0.1. */
async function breakingSinceFirstVersion(schema: string): Promise<string[]> {
  const changes = await diff(buildSchema(read('version-0.1.graphql')), buildSchema(schema))
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ message }) => message)
}

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

  it('breaks no client of version 0.1', async () => {
    expect(await breakingSinceFirstVersion(read('../../schema.graphql'))).toEqual([])
  })

  it.each([
    ['removes a field', 'regeneratedAt: DateTime', 'regeneratedOn: DateTime'],
    ['lets a field be null', 'maxApiKeys: Int!', 'maxApiKeys: Int'],
    ['requires an argument', 'usage("""', 'usage(since: Month!, """'],
    ['requires an input field', 'input AddApiKeyInput {', 'input AddApiKeyInput { reason: String!'],
    ['removes a code', '  QUOTA_EXCEEDED\n', '  QUOTA_USED_UP\n'],
  ])('is compared with version 0.1 by a check that fails if a change %s', async (_what, from, to) => {
    const served = read('../../schema.graphql').replace(/usage\(\s+"""/, 'usage("""')
    expect(served).toContain(from)
    expect(await breakingSinceFirstVersion(served.replace(from, to))).not.toEqual([])
  })
})
