import SchemaBuilder from '@pothos/core'
import ComplexityPlugin, { ComplexityErrorKind } from '@pothos/plugin-complexity'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin, { type AuthFailure } from '@pothos/plugin-scope-auth'
import ValidationPlugin from '@pothos/plugin-validation'
import { GraphQLDateTime, GraphQLSafeInt } from 'graphql-scalars'
import { z } from 'zod'
import type { Month } from '../domain/month.ts'
import { hasScope, type Scope } from '../domain/principal.ts'
import { ForbiddenError, InvalidInputError, QueryTooComplexError, UnauthenticatedError } from '../errors.ts'
import type PrismaTypes from '../generated/pothos.ts'
import { getDatamodel } from '../generated/pothos.ts'
import { defaultPageSize } from './connection.ts'
import type { Context } from './context.ts'
import { globalIdOf, type NodeType, parseGlobalId } from './global-id.ts'
import { MonthScalar } from './month-scalar.ts'

/** What one operation may cost; docs/errors.md tells callers. */
const limits = { depth: 12, breadth: 300, complexity: 10_000 }

const limitNames = {
  [ComplexityErrorKind.Depth]: `more than ${limits.depth} levels`,
  [ComplexityErrorKind.Breadth]: `more than ${limits.breadth} fields`,
  [ComplexityErrorKind.Complexity]: `a cost of more than ${limits.complexity}`,
}

/** The scopes that a refusal names. */
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
  // The errors plugin comes first, so that it sees the refusals of all the others.
  plugins: [ErrorsPlugin, ScopeAuthPlugin, ValidationPlugin, ComplexityPlugin, RelayPlugin, PrismaPlugin],
  defaultFieldNullability: false,
  errors: {
    directResult: true,
    unsafelyHandleInputErrors: true,
    defaultUnionOptions: { description: 'What was done, or why it was refused.' },
  },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ principal }) => ({
      authenticated: principal !== null,
      scope: (scope) => principal !== null && hasScope(principal, scope),
    }),
    unauthorizedError: (_parent, { principal }, _info, result) => {
      if (!principal) return new UnauthenticatedError('Send a bearer token: Authorization: Bearer <token>.')
      const needed = scopesMissing(result.failure).join(', ')
      return new ForbiddenError(`The token lacks the scope that this needs: ${needed}.`)
    },
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
    limit: limits,
    complexityError: (kind) =>
      new QueryTooComplexError(
        `The operation has ${limitNames[kind]}. Ask for less, or in several operations.`,
      ),
  },
  relay: {
    clientMutationId: 'omit',
    cursorType: 'String',
    nodesOnConnection: {
      description: 'The rows of the page, without their cursors.',
      complexity: { field: 1, multiplier: 1 },
    },
    encodeGlobalID: (typename, id) => globalIdOf(typename as NodeType, String(id)),
    decodeGlobalID: parseGlobalId,
    // A page costs as much as it has rows, which the connection itself counts.
    edgesFieldOptions: {
      nullable: false,
      description: 'The rows of the page, each with its cursor.',
      complexity: { field: 1, multiplier: 1 },
    },
    nodeFieldOptions: { nullable: false, description: 'The row.' },
    cursorFieldOptions: { description: 'Where the row stands: give it as after or before.' },
    pageInfoFieldOptions: { description: 'Whether there are more rows on either side, and where to go on.' },
    pageInfoTypeOptions: { description: 'Where a page lies among all the rows.' },
    hasNextPageFieldOptions: { description: 'Whether there are rows after this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether there are rows before this page.' },
    startCursorFieldOptions: {
      description: 'The cursor of the first row, to give as before; null on an empty page.',
    },
    endCursorFieldOptions: {
      description: 'The cursor of the last row, to give as after; null on an empty page.',
    },
    firstArgOptions: { description: 'The number of rows from the front: 1 to 100; 20 when left out.' },
    afterArgOptions: { description: 'Only rows after the one with this cursor. Goes with first.' },
    lastArgOptions: { description: 'The number of rows from the back: 1 to 100.' },
    beforeArgOptions: { description: 'Only rows before the one with this cursor. Goes with last.' },
    defaultConnectionTypeOptions: { description: 'One page of rows.' },
    defaultEdgeTypeOptions: { description: 'One row of a page.' },
    nodeTypeOptions: { description: 'Anything that has an id of its own and can be fetched again by it.' },
    idFieldOptions: { description: 'The id, by which it can be fetched again.' },
    nodeQueryOptions: {
      description:
        'Anything within the viewer’s reach by its id; null for an unknown, removed or foreign one alike.',
      nullable: true,
      authScopes: { scope: 'keys:read' },
      args: { id: { description: 'The id of anything that has one.' } },
    },
    nodesQueryOptions: {
      description:
        'Up to 100 nodes by their ids, in the order asked for; null in place of each that is out of reach.',
      nullable: { list: false, items: true },
      authScopes: { scope: 'keys:read' },
      args: {
        ids: {
          validate: z.array(z.any()).max(100, 'At most 100 ids.'),
          description: 'Up to 100 ids.',
        },
      },
    },
  },
  prisma: {
    client: ({ prisma }) => prisma,
    dmmf: getDatamodel(),
    maxConnectionSize: 100,
    defaultConnectionSize: defaultPageSize,
    filterConnectionTotalCount: true,
  },
})

builder.queryType({
  description: 'Reading. Everything but the explorer’s own questions needs a bearer token.',
})
builder.mutationType({
  description:
    'Changing keys, metering calls, and (for operators) plans, accounts and the catalogue of API calls.',
})
builder.subscriptionType({ description: 'Following along, over WebSocket (graphql-transport-ws) or SSE.' })

builder.addScalarType('DateTime', GraphQLDateTime, { description: 'RFC 3339 instant in UTC.' })
builder.addScalarType('SafeInt', GraphQLSafeInt, {
  description: "A whole number up to 2^53 - 1 (GraphQL's Int stops at 2^31 - 1).",
})
builder.addScalarType('Month', MonthScalar, {})
