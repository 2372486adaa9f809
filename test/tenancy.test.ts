import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  buildClientSchema,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  graphql,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
} from 'graphql'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createContext } from '../src/schema/context.ts'
import { globalIdOf, parseGlobalId } from '../src/schema/global-id.ts'
import { schema } from '../src/schema/index.ts'
import { startApp, type TestApp } from './support/app.ts'
import { type Customer, createCustomer, createGateway } from './support/customer.ts'
import { RemoveApiKey } from './support/operations.ts'
import { unshared } from './support/share.ts'
import { webSocketClient } from './support/websocket.ts'

/** A place in the schema that takes an id or a text that could identify a row: `apiKey(id)`, `addApiKey(input.accountId)`. */
interface Place {
  operation: 'query' | 'mutation' | 'subscription'
  field: GraphQLField<unknown, unknown>
  /** The argument, and the input fields below it. */
  path: string[]
  kind: 'ID' | 'String'
}

const marker = 'belongs-to-somebody-else'

/** Every argument of a root field, and every input field below it, of type ID or String. Found in the schema, so new ones are covered. */
function placesOf(operation: Place['operation']): Place[] {
  const root = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  }
  return Object.values(root[operation]?.getFields() ?? {}).flatMap((field) =>
    field.args.flatMap((argument) => placesIn(operation, field, argument.type, [argument.name])),
  )
}

function placesIn(
  operation: Place['operation'],
  field: Place['field'],
  type: GraphQLInputType,
  path: string[],
): Place[] {
  const named = getNamedType(type)
  if (named.name === 'ID' || named.name === 'String') return [{ operation, field, path, kind: named.name }]
  if (!isInputObjectType(named)) return []
  return Object.values(named.getFields()).flatMap((input) =>
    placesIn(operation, field, input.type, [...path, input.name]),
  )
}

/** The arguments with `value` at the place, and something valid for everything else that is required. */
function argumentsFor({ field, path }: Place, value: string): Record<string, unknown> {
  const [name, ...below] = path
  return Object.fromEntries(
    field.args
      .filter((argument) => isRequiredArgument(argument) || argument.name === name)
      .map(({ name: own, type }) => [
        own,
        own === name ? valueAt(type, below, value) : someValueOf(type, own),
      ]),
  )
}

/** The same for an input: a list has one item. */
function valueAt(type: GraphQLInputType, path: string[], value: string): unknown {
  if (isNonNullType(type)) return valueAt(type.ofType, path, value)
  if (isListType(type)) return [valueAt(type.ofType, path, value)]
  if (!isInputObjectType(type)) return value
  const [name, ...below] = path
  return Object.fromEntries(
    Object.values(type.getFields())
      .filter((field) => isRequiredInputField(field) || field.name === name)
      .map(({ name: own, type }) => [
        own,
        own === name ? valueAt(type, below, value) : someValueOf(type, own),
      ]),
  )
}

function someValueOf(type: GraphQLInputType, name: string): unknown {
  if (isNonNullType(type)) return someValueOf(type.ofType, name)
  if (isListType(type)) return []
  if (isEnumType(type)) return type.getValues()[0]?.name
  if (isInputObjectType(type))
    return Object.fromEntries(
      Object.values(type.getFields())
        .filter(isRequiredInputField)
        .map((field) => [field.name, someValueOf(field.type, field.name)]),
    )
  return type.name === 'Int' || type.name === 'SafeInt'
    ? 1
    : type.name === 'ID'
      ? globalIdOf('ApiKey', uuidv7())
      : 'free'
}

/** A selection of every field without required arguments, a few levels deep. */
function selectionOf(type: GraphQLOutputType, depth = 3): string {
  const named = getNamedType(type)
  if (isUnionType(named))
    return `{ __typename ${named
      .getTypes()
      .map((member) => `... on ${member.name} ${selectionOf(member, depth)}`)
      .join(' ')} }`
  if (!isObjectType(named) && !isInterfaceType(named)) return ''
  const fields = Object.values(named.getFields()).flatMap((field) => {
    if (field.args.some(isRequiredArgument)) return []
    const below = getNamedType(field.type)
    const leaf = !isObjectType(below) && !isInterfaceType(below) && !isUnionType(below)
    if (leaf) return [field.name]
    return depth > 0 ? [`${field.name} ${selectionOf(field.type, depth - 1)}`] : []
  })
  return `{ __typename ${fields.join(' ')} }`
}

const labelOf = ({ operation, field, path }: Place) => `${operation} ${field.name}(${path.join('.')})`

describe('tenancy', () => {
  let app: TestApp
  let me: Customer
  let other: Customer
  let mine: { account: string; removedKey: string }
  let theirs: { account: string; key: string; start: string; secret: string }

  beforeAll(async () => {
    app = await startApp()
    me = await createCustomer(app, { maxApiKeys: 5 })
    other = await createCustomer(app, { maxApiKeys: 5 })
    const removed = await me.addApiKey()
    await app.query(RemoveApiKey, { as: me.token, variables: { id: removed.apiKey.id } })
    const { secret, apiKey } = await other.addApiKey({ note: marker })
    await (await createGateway(app)).meter(secret)
    mine = { account: (await me.account()).id, removedKey: removed.apiKey.id }
    theirs = { account: (await other.account()).id, key: apiKey.id, start: apiKey.start, secret }
  })
  afterAll(() => app.stop())

  async function answerTo(place: Place, value: string): Promise<string> {
    const names = place.field.args.map(({ name }) => name)
    const values = argumentsFor(place, value)
    const used = names.filter((name) => name in values)
    const declared = place.field.args.filter(({ name }) => used.includes(name))
    const query = `${place.operation} Ask(${declared.map(({ name, type }) => `$${name}: ${type}`).join(', ')}) {
      ${place.field.name}(${used.map((name) => `${name}: $${name}`).join(', ')}) ${selectionOf(place.field.type)}
    }`
    const answer =
      place.operation === 'subscription'
        ? await firstEvent(query, values)
        : await app.query(query, { as: me.token, variables: values })
    return JSON.stringify(answer).replaceAll(value, '<value>')
  }

  async function firstEvent(query: string, variables: Record<string, unknown>): Promise<unknown> {
    const client = webSocketClient(app, me.token)
    try {
      for await (const event of client.iterate({ query, variables })) return event
      return 'nothing'
    } catch (errors) {
      return { errors }
    } finally {
      await client.dispose()
    }
  }

  /** All rows of the other account. */
  async function theirRows(): Promise<unknown> {
    const { id } = parseGlobalId(theirs.account)
    const include = {
      plan: true,
      usage: true,
      apiKeys: { include: { usage: true, apiCalls: true, resources: true }, orderBy: { id: 'asc' as const } },
    }
    const account = await app.services.prisma.account.findUnique({ where: { id }, include })
    return JSON.parse(
      JSON.stringify(account, (_key, value) => (typeof value === 'bigint' ? Number(value) : value)),
    )
  }

  function expectNothingOfTheirs(answer: string): void {
    const texts = [marker, theirs.start, theirs.secret, theirs.key, theirs.account, other.externalId]
    expect(texts.filter((text) => answer.includes(text))).toEqual([])
  }

  const places = (['query', 'mutation', 'subscription'] as const).flatMap(placesOf)
  const idPlaces = places.filter(({ kind }) => kind === 'ID')
  const textPlaces = places.filter(({ kind }) => kind === 'String')

  it('knows the schema that is served', async () => {
    const { data } = await app.query<Parameters<typeof buildClientSchema>[0], never>(
      getIntrospectionQuery(),
      { as: me.token },
    )
    const served = buildClientSchema(data)
    const rootsOf = (of: GraphQLSchema) =>
      [of.getQueryType(), of.getMutationType(), of.getSubscriptionType()].map((type) =>
        Object.keys(type?.getFields() ?? {}).sort(),
      )
    expect(rootsOf(served)).toEqual(rootsOf(schema))
    expect(idPlaces.length).toBeGreaterThanOrEqual(13)
    const labels = textPlaces.map(labelOf)
    expect(labels.length).toBeGreaterThanOrEqual(20)
    for (const field of ['apiCalls', 'resources.type', 'resources.ids', 'allowedNetworks'])
      expect(labels).toContain(`mutation configureApiKeyAccess(input.access.${field})`)
  })

  it.each(idPlaces.map((place) => [labelOf(place), place] as const))(
    '%s answers to a foreign id as to an unknown one',
    async (_label, place) => {
      const before = await theirRows()
      for (const [foreign, unknown] of [
        [theirs.key, globalIdOf('ApiKey', uuidv7())],
        [theirs.account, globalIdOf('Account', uuidv7())],
        [mine.removedKey, globalIdOf('ApiKey', uuidv7())],
      ] as const) {
        const answer = await answerTo(place, foreign)
        expect(answer).toEqual(await answerTo(place, unknown))
        expectNothingOfTheirs(answer)
      }
      expect(await theirRows()).toEqual(before)
    },
  )

  it.each(textPlaces.map((place) => [labelOf(place), place] as const))(
    '%s shows nothing of another account',
    async (_label, place) => {
      const before = await theirRows()
      const cursor = Buffer.from(`GPC:S:${parseGlobalId(theirs.key).id}`).toString('base64')
      for (const text of [other.externalId, marker, theirs.start, theirs.secret, cursor])
        expectNothingOfTheirs(await answerTo(place, text))
      expect(await theirRows()).toEqual(before)
    },
  )

  it('pages and searches within the account alone', async () => {
    const third = await createCustomer(app)
    const page = (query: string) =>
      app.query<{ account: unknown }, never>(`{ account { ${query} } }`, { as: third.token })
    const cursor = Buffer.from(`GPC:S:${parseGlobalId(theirs.key).id}`).toString('base64')
    for (const query of [
      `apiKeys(first: 5, after: "${cursor}") ${selectionOf(fieldType('Account', 'apiKeys'))}`,
      `apiKeys(last: 5, before: "${cursor}") ${selectionOf(fieldType('Account', 'apiKeys'))}`,
      `apiKeys(search: "${marker}") { totalCount nodes { note } }`,
      `apiKeys(search: "${theirs.start}") { totalCount nodes { note } }`,
    ]) {
      const answer = await page(query)
      expect(answer.errors).toBeUndefined()
      expectNothingOfTheirs(JSON.stringify(answer))
    }
    const found = await page(`apiKeys(search: "${marker}") { totalCount }`)
    expect(found.data.account).toEqual({ apiKeys: { totalCount: 0 } })
  })

  it('reads a changed row back within the tenant scope, even if the change went around it', async () => {
    const { prisma } = app.services
    const principal = {
      subject: 'me',
      scopes: ['keys:read', 'keys:write'],
      accountExternalId: me.externalId,
      expiresAt: new Date(8.64e15),
    }
    const { id: apiKeyId } = parseGlobalId(theirs.key)
    const { id: accountId } = parseGlobalId(theirs.account)
    const careless = {
      add: async () => ({ apiKeyId, secret: '' }),
      regenerate: async () => ({ apiKeyId, secret: '' }),
      setNote: async () => {},
      configureAccess: async () => {},
      setEnabled: async () => {},
      setExpiry: async () => {},
      setLimits: async () => {},
      revokePreviousSecret: async () => {},
      describe: async () => null,
      remove: async () => accountId,
    }
    const changes = {
      addApiKey: '{}',
      regenerateApiKey: `{ id: "${theirs.key}" }`,
      setApiKeyNote: `{ id: "${theirs.key}" }`,
      configureApiKeyAccess: `{ id: "${theirs.key}", access: { mode: FULL } }`,
      setApiKeyEnabled: `{ id: "${theirs.key}", enabled: false }`,
      setApiKeyExpiry: `{ id: "${theirs.key}" }`,
      setApiKeyLimits: `{ id: "${theirs.key}" }`,
      revokePreviousSecret: `{ id: "${theirs.key}" }`,
      removeApiKey: `{ id: "${theirs.key}" }`,
    }
    for (const [field, input] of Object.entries(changes)) {
      const payload = `${field[0]?.toUpperCase()}${field.slice(1)}Payload`
      const row = field === 'removeApiKey' ? 'account { externalId }' : 'apiKey { note start }'
      const { data, errors } = await graphql({
        schema,
        source: `mutation { ${field}(input: ${input}) { ... on ${payload} { ${row} } } }`,
        contextValue: await createContext({ ...app.services, keys: careless, prisma }, principal, unshared),
      })
      expect([field, data ?? null, errors?.length]).toEqual([field, null, 1])
    }
  })

  it('limits every query of the schema for accounts or keys to the tenant scope', () => {
    const queries = readdirSync('src/schema').flatMap((file) => {
      const text = readFileSync(join('src/schema', file), 'utf8')
      return [...text.matchAll(/\bprisma\s*\.(?:account|apiKey)\s*\.\w+\(/g)].map(
        ({ 0: start, index }) => `${file}: ${start}${upToClosing(text.slice(index + start.length))}`,
      )
    })
    expect(queries.length).toBeGreaterThan(8)
    expect(queries.filter((query) => !query.includes('InScope('))).toEqual([])
  })

  it('gives a token without an account no account at all', async () => {
    const nobody = await app.token({ scopes: ['keys:read', 'keys:write', 'keys:reveal'] })
    const { data } = await app.query<Record<string, unknown>, never>(
      `{ account { id } viewer { account { id } } apiKey(id: "${theirs.key}") { id } node(id: "${theirs.account}") { id } }`,
      { as: nobody },
    )
    expect(data).toEqual({ account: null, viewer: { account: null }, apiKey: null, node: null })
    const removal = await app.query(RemoveApiKey, { as: nobody, variables: { id: theirs.key } })
    expect(removal.data.removeApiKey.__typename).toBe('NotFound')
  })
})

/** The rest of a call's arguments, up to the parenthesis that closes them. */
function upToClosing(text: string): string {
  let open = 1
  const end = [...text].findIndex((character) => {
    if (character === '(') open++
    if (character === ')') open--
    return open === 0
  })
  return text.slice(0, end)
}

function fieldType(type: string, field: string): GraphQLOutputType {
  const named = schema.getType(type)
  const found = isObjectType(named) && named.getFields()[field]
  if (!found) throw new Error(`There is no ${type}.${field}.`)
  return found.type
}
