import fc from 'fast-check'
import { type GraphQLField, getNamedType, isAbstractType, isCompositeType, isObjectType } from 'graphql'
import { schema } from '../../../src/schema/index.ts'
import { anyInput, mutated } from './values.ts'

const maxDepth = 7

/** A GraphQL literal: what a client might write in place of an argument. */
const literal: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'null',
    '$v',
    'FULL',
    '-1',
    '0',
    '100',
    '1e99',
    '""',
    '"2026-11"',
    '[]',
    '{}',
    '"""x"""',
    '[["a"]]',
  ),
  anyInput.map((value) => (typeof value === 'object' ? '{ id: "x", ids: ["y"] }' : JSON.stringify(value))),
)

function fieldOf(field: GraphQLField<unknown, unknown>, depth: number): fc.Arbitrary<string> {
  const type = getNamedType(field.type)
  const given = fc
    .tuple(
      ...field.args.map(({ name }) =>
        fc.option(
          literal.map((value) => `${name}: ${value}`),
          { freq: 1 },
        ),
      ),
    )
    .map((all) => all.filter((argument) => argument !== null))
  const written = given.map((all) => (all.length > 0 ? `(${all.join(', ')})` : ''))
  const alias = fc.constantFrom('', '', '', 'a: ', '__proto__: ', 'toString: ')
  const directive = fc.constantFrom(
    '',
    '',
    '',
    ' @skip(if: $v)',
    ' @include(if: false)',
    ' @unknown',
    ' @defer',
  )
  const selected = isCompositeType(type) ? selectionOf(type.name, depth + 1) : fc.constant('')
  return fc
    .tuple(alias, written, directive, selected)
    .map(([before, args, after, below]) => [before, field.name, args, after, below].join(''))
}

/** Some fields and fragments of a type, most of them its own. */
function selectionOf(typeName: string, depth: number): fc.Arbitrary<string> {
  const type = schema.getType(typeName)
  if (depth > maxDepth || !type) return fc.constant(' { __typename }')
  const own = 'getFields' in type && !('parseValue' in type) ? Object.values(type.getFields()) : []
  const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : isObjectType(type) ? [type] : []
  const choices: fc.Arbitrary<string>[] = [
    fc.constantFrom(
      '__typename',
      'id',
      'nosuchfield',
      '...F',
      '... { __typename }',
      '__schema { types { name } }',
    ),
    ...own.map((field) =>
      fc.constant(field).chain((chosen) => fieldOf(chosen as GraphQLField<unknown, unknown>, depth)),
    ),
    ...possible.map(({ name }) =>
      fc
        .constant(name)
        .chain((chosen) => selectionOf(chosen, depth + 1).map((below) => `... on ${chosen}${below}`)),
    ),
  ]
  return fc
    .array(fc.oneof(...choices), { minLength: 1, maxLength: 3 })
    .map((fields) => ` { ${fields.join(' ')} }`)
}

const operation = fc
  .constantFrom<[string, string]>(['query', 'Query'], ['query', 'Query'], ['mutation', 'Mutation'])
  .chain(([kind, root]) =>
    fc
      .tuple(
        fc.constantFrom('', ' Named', ' Named($v: Boolean)', ' Named($v: ID = 1)', ' Named($v: [X!]!)'),
        selectionOf(root, 0),
      )
      .map(([name, selection]) => `${kind}${name}${selection}`),
  )

const fragment = fc.constantFrom(
  '',
  ' fragment F on ApiKey { id ...F }',
  ' fragment F on Query { viewer { subject } }',
)

/** Documents over the schema: valid ones, ones that break a rule, and ones that do not parse. No subscription. */
export const anyDocument: fc.Arbitrary<string> = fc
  .tuple(operation, fragment)
  .map((parts) => parts.join(''))
  .chain((document) =>
    fc.oneof({ weight: 3, arbitrary: fc.constant(document) }, { weight: 1, arbitrary: mutated(document) }),
  )

/** Operations that any variables may be sent to: they change nothing unless an id exists. */
export const operationsWithVariables = [
  'query ($a: ID!) { node(id: $a) { id ... on ApiKey { note usage { calls } } } }',
  'query ($a: [ID!]!) { nodes(ids: $a) { id } }',
  'query ($a: Int, $b: String, $c: Int) { account { apiKeys(first: $a, after: $b, last: $c) { nodes { id } pageInfo { endCursor } } } }',
  'query ($a: Month, $b: Int!) { account { usage(month: $a) { calls } usageHistory(months: $b) { month } } }',
  'query ($a: String, $b: String) { apiCalls(category: $a) { id } account(externalId: $b) { id } }',
  'mutation ($a: SetApiKeyNoteInput!) { setApiKeyNote(input: $a) { __typename ... on Error { message } } }',
  'mutation ($a: ID!, $b: ApiKeyAccessInput!) { configureApiKeyAccess(input: { id: $a, access: $b }) { __typename } }',
  'mutation ($a: ID!) { removeApiKey(input: { id: $a }) { __typename } regenerateApiKey(input: { id: $a }) { __typename } }',
  'mutation ($a: String!, $b: String!) { meterApiCall(input: { secret: $a, apiCall: $b }) { code message } }',
  'mutation ($a: MeterApiCallsInput!) { meterApiCalls(input: $a) { decisions { code } } }',
]
