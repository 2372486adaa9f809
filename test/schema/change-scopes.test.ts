import {
  type GraphQLObjectType,
  getNamedType,
  isInterfaceType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../src/schema/index.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'

/** A field of a mutation's result, two levels deep: `['AddApiKeyPayload', 'apiKey', 'note']`. */
type Place = [type: string, ...fields: string[]]

const fieldsOf = (type: GraphQLObjectType) =>
  Object.values(type.getFields()).filter((field) => !field.args.some(isRequiredArgument))

function* placesOf(type: GraphQLObjectType): Generator<Place> {
  for (const field of fieldsOf(type)) {
    const below = getNamedType(field.type)
    if (isLeafType(below)) yield [type.name, field.name]
    if (isObjectType(below)) for (const { name } of fieldsOf(below)) yield [type.name, field.name, name]
  }
}

/** A selection of one field of a mutation's result. */
function selectionOf([type, ...fields]: Place): string {
  let at = schema.getType(type) as GraphQLObjectType
  const opened = fields.map((name) => {
    at = getNamedType(at.getFields()[name]?.type) as GraphQLObjectType
    return name
  })
  const leaf = isObjectType(at) || isInterfaceType(at) || isUnionType(at) ? ' { __typename }' : ''
  return `{ __typename ... on ${type} { ${opened.join(' { ')}${leaf} ${'} '.repeat(opened.length)}}`
}

/** The arguments of every mutation of keys. */
const mutations = (id: string): Record<string, string> => ({
  addApiKey: '(input: { note: "added" })',
  regenerateApiKey: `(input: { id: "${id}" })`,
  setApiKeyNote: `(input: { id: "${id}", note: "changed" })`,
  configureApiKeyAccess: `(input: { id: "${id}", access: { mode: RESTRICTED, apiCalls: [] } })`,
  setApiKeyEnabled: `(input: { id: "${id}", enabled: false })`,
  setApiKeyExpiry: `(input: { id: "${id}", expiresAt: "2999-01-01T00:00:00Z" })`,
  setApiKeyLimits: `(input: { id: "${id}", monthlyCallLimit: 5 })`,
  revokePreviousSecret: `(input: { id: "${id}" })`,
  removeApiKey: `(input: { id: "${id}" })`,
})

/** What a mutation itself issues or refuses with. */
const open = [
  'AddApiKeyPayload.apiKey.id',
  'AddApiKeyPayload.secret',
  'ApiKeyLimitReached.limit',
  'ApiKeyLimitReached.message',
  'ConfigureApiKeyAccessPayload.apiKey.id',
  'InvalidInput.issues.message',
  'InvalidInput.issues.path',
  'InvalidInput.message',
  'NotFound.message',
  'RegenerateApiKeyPayload.apiKey.id',
  'RegenerateApiKeyPayload.secret',
  'RemoveApiKeyPayload.removedApiKeyId',
  'RevokePreviousSecretPayload.apiKey.id',
  'SetApiKeyEnabledPayload.apiKey.id',
  'SetApiKeyExpiryPayload.apiKey.id',
  'SetApiKeyLimitsPayload.apiKey.id',
  'SetApiKeyNotePayload.apiKey.id',
]

describe('a token with keys:write and without keys:read', () => {
  let app: TestApp
  let customer: Customer
  let writer: string
  let keyId: string

  beforeAll(async () => {
    app = await startApp()
    customer = await createCustomer(app, { maxApiKeys: 100 })
    writer = await app.token({ account: customer.externalId, scopes: ['keys:write', 'keys:reveal'] })
    keyId = (await customer.addApiKey({ note: 'first' })).apiKey.id
  })
  afterAll(() => app.stop())

  const stateOf = () =>
    app.sql(
      `select id, encode(digest, 'hex') as digest, note, access_mode, removed_at, enabled, expires_at,
        encode(previous_digest, 'hex') as previous_digest, monthly_call_limit::text from api_key`,
    )

  it('may make every mutation that this test knows, and no other', async () => {
    const known = Object.keys(mutations(''))
    for (const { name, args } of Object.values(schema.getMutationType()?.getFields() ?? {})) {
      if (known.includes(name)) continue
      const values: Record<string, string> = {
        MeterApiCallInput: '{ secret: "x", apiCall: "y" }',
        MeterApiCallsInput: '{ calls: [] }',
        SavePlanInput: '{ slug: "p", name: "P", maxApiKeys: 1 }',
        SaveAccountInput: '{ externalId: "e", name: "E", plan: "free" }',
        SaveApiCallInput: '{ name: "c", title: "C", category: "C", kind: READ }',
        SaveAccountsInput: '{ accounts: [] }',
        SetAccountSuspendedInput: '{ externalId: "e", suspended: true }',
        RemoveAccountInput: '{ externalId: "e" }',
        RemovePlanInput: '{ slug: "p" }',
        RemoveApiCallInput: '{ name: "c" }',
        ImportApiKeysInput: '{ apiKeys: [] }',
        ReportLeakedApiKeysInput: '{ secrets: [], source: "s" }',
      }
      const input = values[String(args[0]?.type).replace('!', '')]
      const { errors } = await app.query(`mutation { ${name}(input: ${input}) { __typename } }`, {
        as: writer,
      })
      expect(errors?.[0]?.extensions.code, name).toBe('FORBIDDEN')
    }
  })

  it('gets from a mutation what the mutation issues, and nothing that keys:read guards', async () => {
    const readable = new Set<string>()
    for (const [name, args] of Object.entries(mutations(keyId))) {
      const result = getNamedType(schema.getMutationType()?.getFields()[name]?.type)
      if (!isUnionType(result)) throw new Error(`${name} has no result union`)
      const places = result.getTypes().flatMap((type) => [...placesOf(type)])
      for (const place of places) {
        const label = place.join('.')
        // The removal would end the test of the others.
        if (name === 'removeApiKey' && open.includes(label)) {
          readable.add(label)
          continue
        }
        const before = await stateOf()
        const { errors } = await app.query(`mutation { ${name}${args} ${selectionOf(place)} }`, {
          as: writer,
        })
        if (!errors) readable.add(label)
        else {
          expect(errors[0]?.extensions.code, label).toBe('FORBIDDEN')
          expect(await stateOf(), `${label} is refused before the change`).toEqual(before)
        }
      }
    }
    expect([...readable].sort()).toEqual(open)
  })

  const throughFragments = `
    mutation { addApiKey(input: {}) { ...Added } }
    fragment Added on AddApiKeyPayload { secret apiKey { ...Key } }
    fragment Key on ApiKey { note }`
  const throughAnInterface = `
    mutation { addApiKey(input: {}) { ... on AddApiKeyPayload { apiKey { ... on Node { ... on ApiKey { note } } } } } }`
  const throughAnAlias =
    'mutation { addApiKey(input: {}) { ... on AddApiKeyPayload { apiKey { id: note } } } }'

  it.each([
    ['fragments', throughFragments],
    ['an interface', throughAnInterface],
    ['an alias', throughAnAlias],
  ])('reads nothing more through %s, and adds no key when it tries', async (_way, operation) => {
    const before = await stateOf()
    const { errors } = await app.query(operation, { as: writer })
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN'])
    expect(await stateOf()).toEqual(before)
  })

  it('removes a key and gets its id', async () => {
    const { data } = await app.query<{ removeApiKey: { removedApiKeyId: string } }, never>(
      `mutation { removeApiKey(input: { id: "${keyId}" }) { ... on RemoveApiKeyPayload { removedApiKeyId } } }`,
      { as: writer },
    )
    expect(data.removeApiKey.removedApiKeyId).toBe(keyId)
  })
})
