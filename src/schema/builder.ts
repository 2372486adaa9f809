import SchemaBuilder from '@pothos/core'
import ComplexityPlugin, { ComplexityErrorKind } from '@pothos/plugin-complexity'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin, { type AuthFailure } from '@pothos/plugin-scope-auth'
import ValidationPlugin from '@pothos/plugin-validation'
import { GraphQLDateTime, GraphQLSafeInt } from 'graphql-scalars'
import type { Month } from '../domain/month.ts'
import { hasScope, type Scope } from '../domain/principal.ts'
import { InvalidInputError, QueryTooComplexError } from '../errors.ts'
import type PrismaTypes from '../generated/pothos.ts'
import { getDatamodel } from '../generated/pothos.ts'
import { listLimits, operationLimits, statementCost } from '../limits.ts'
import type { Context } from './context.ts'
import { globalIdOf, type NodeType, parseGlobalId } from './global-id.ts'
import { MonthScalar } from './month-scalar.ts'
import { scopeError } from './scope-errors.ts'
import SharePlugin from './share-plugin.ts'

const { depth, breadth, cost } = operationLimits

const limitNames = {
  [ComplexityErrorKind.Depth]: `more than ${depth} levels`,
  [ComplexityErrorKind.Breadth]: `more than ${breadth} fields`,
  [ComplexityErrorKind.Complexity]: `a cost of more than ${cost}`,
}

/** Why an operation beyond a limit is refused. */
export const complexityError = (kind: ComplexityErrorKind) =>
  new QueryTooComplexError(`The operation has ${limitNames[kind]}. Ask for less, or in several operations.`)

/** The scopes that the token lacks. */
function scopesMissing(failure: AuthFailure): string[] {
  if ('failures' in failure) return failure.failures.flatMap(scopesMissing)
  return 'parameter' in failure ? [String(failure.parameter)] : []
}

export const builder = new SchemaBuilder<{
  Context: Context
  PrismaTypes: PrismaTypes
  DefaultFieldNullability: false
  DefaultEdgesNullability: false
  DefaultNodeNullability: false
  AuthScopes: { authenticated: boolean; scope: Scope }
  Scalars: {
    ID: { Input: string; Output: string }
    DateTime: { Input: Date; Output: Date }
    Month: { Input: Month; Output: Month }
    SafeInt: { Input: number; Output: number }
  }
  Connection: { totalCount: number | (() => number | Promise<number>) }
}>({
  // The errors plugin comes first, so that it handles the errors of all others; the share plugin last, around the
  // resolvers themselves.
  plugins: [
    ErrorsPlugin,
    ScopeAuthPlugin,
    ValidationPlugin,
    ComplexityPlugin,
    RelayPlugin,
    PrismaPlugin,
    SharePlugin,
  ],
  defaultFieldNullability: false,
  errors: {
    directResult: true,
    unsafelyHandleInputErrors: true,
    defaultUnionOptions: { description: 'The outcome, or the reason for a refusal.' },
  },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ principal }) => ({
      authenticated: principal !== null,
      scope: (scope) => principal !== null && hasScope(principal, scope),
    }),
    unauthorizedError: (_parent, { principal }, _info, { failure }) =>
      scopeError(principal, scopesMissing(failure)),
  },
  validation: {
    validationError: ({ issues }) =>
      new InvalidInputError(
        issues.map(({ path, message }) => ({
          path: (path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)),
          message,
        })),
      ),
  },
  complexity: {
    limit: { depth, breadth, complexity: cost },
    complexityError,
  },
  relay: {
    clientMutationId: 'omit',
    cursorType: 'String',
    nodesOnConnection: {
      description: 'The rows of the page, without cursors.',
      complexity: { field: 1, multiplier: 1 },
    },
    encodeGlobalID: (typename, id) => globalIdOf(typename as NodeType, String(id)),
    decodeGlobalID: parseGlobalId,
    // The connection itself multiplies by the number of rows.
    edgesFieldOptions: {
      nullable: false,
      description: 'The rows of the page, each with its cursor.',
      complexity: { field: 1, multiplier: 1 },
    },
    nodeFieldOptions: { nullable: false, description: 'The row.' },
    cursorFieldOptions: { description: 'The position of the row, for use as after or before.' },
    pageInfoFieldOptions: { description: 'Whether there are more rows, and the cursors to continue from.' },
    pageInfoTypeOptions: { description: 'The position of a page among all rows.' },
    hasNextPageFieldOptions: { description: 'Whether there are rows after this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there are rows before this page.' },
    startCursorFieldOptions: {
      description: 'The cursor of the first row, for use as before; null if the page is empty.',
    },
    endCursorFieldOptions: {
      description: 'The cursor of the last row, for use as after; null if the page is empty.',
    },
    firstArgOptions: { description: 'How many rows from the start, from 1 to 100; 20 if left out.' },
    afterArgOptions: { description: 'Only rows after this cursor. Combine it with first.' },
    lastArgOptions: { description: 'How many rows from the end, from 1 to 100.' },
    beforeArgOptions: { description: 'Only rows before this cursor. Combine it with last.' },
    defaultConnectionTypeOptions: { description: 'A page of rows.' },
    defaultEdgeTypeOptions: { description: 'A row of a page.' },
    nodeTypeOptions: { description: 'An object that can be read again by its id.' },
    idFieldOptions: { description: 'The id to read the object by.' },
    nodeQueryOptions: {
      description: 'An object by its id; null if it is unknown, removed or another account’s.',
      nullable: true,
      authScopes: { scope: 'keys:read' },
      complexity: statementCost,
      args: { id: { description: 'The id of an account, API call, key or plan.' } },
    },
    // src/schema/nodes.ts has its own.
    nodesQueryOptions: false,
  },
  prisma: {
    client: ({ prisma }) => prisma,
    dmmf: getDatamodel(),
    maxConnectionSize: listLimits.pageRows,
    defaultConnectionSize: listLimits.defaultPageRows,
    filterConnectionTotalCount: true,
  },
})

builder.queryType({
  description: 'Reads. Everything except introspection needs a bearer token.',
})
builder.mutationType({
  description:
    'Changes to keys, metering of calls, and, for operators, changes to plans, accounts and the catalogue of API calls.',
})
builder.subscriptionType({ description: 'Live events, over WebSocket (graphql-transport-ws) or SSE.' })

builder.addScalarType('DateTime', GraphQLDateTime, { description: 'RFC 3339 instant in UTC.' })
builder.addScalarType('SafeInt', GraphQLSafeInt, {
  description: "A whole number up to 2^53 - 1 (GraphQL's Int stops at 2^31 - 1).",
})
builder.addScalarType('Month', MonthScalar, {})
