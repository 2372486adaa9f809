import SchemaBuilder from '@pothos/core'
import ComplexityPlugin, { ComplexityErrorKind } from '@pothos/plugin-complexity'
import ErrorsPlugin from '@pothos/plugin-errors'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import ValidationPlugin from '@pothos/plugin-validation'
import { GraphQLDateTime, GraphQLSafeInt } from 'graphql-scalars'
import type { Month } from '../domain/month.ts'
import { hasScope, type Scope } from '../domain/principal.ts'
import { ForbiddenError, InvalidInputError, QueryTooComplexError, UnauthenticatedError } from '../errors.ts'
import type PrismaTypes from '../generated/pothos.ts'
import { getDatamodel } from '../generated/pothos.ts'
import type { Context } from './context.ts'
import { globalIdOf, type NodeType, parseGlobalId } from './global-id.ts'
import { MonthScalar } from './month-scalar.ts'

/** What one operation may cost; docs/errors.md tells callers. */
const limits = { depth: 12, breadth: 300, complexity: 10_000 }

const limitNames = {
  [ComplexityErrorKind.Depth]: `more than ${limits.depth} levels deep`,
  [ComplexityErrorKind.Breadth]: `more than ${limits.breadth} fields`,
  [ComplexityErrorKind.Complexity]: `a cost of more than ${limits.complexity}`,
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
  errors: { directResult: true, unsafelyHandleInputErrors: true },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ principal }) => ({
      authenticated: principal !== null,
      scope: (scope) => principal !== null && hasScope(principal, scope),
    }),
    unauthorizedError: (_parent, { principal }, _info, result) => {
      if (!principal) return new UnauthenticatedError('Send a bearer token: Authorization: Bearer <token>.')
      const { failure } = result
      const needed = 'parameter' in failure ? String(failure.parameter) : 'another one'
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
    nodesOnConnection: true,
    encodeGlobalID: (typename, id) => globalIdOf(typename as NodeType, String(id)),
    decodeGlobalID: parseGlobalId,
    edgesFieldOptions: { nullable: false, description: 'The rows of the page, each with its cursor.' },
    nodeFieldOptions: { nullable: false, description: 'The row.' },
    cursorFieldOptions: { description: 'Where the row stands: give it as after or before.' },
    nodesFieldOptions: { description: 'The rows of the page, without their cursors.' },
    nodeTypeOptions: { description: 'Anything that has an id of its own and can be fetched again by it.' },
    nodeQueryOptions: {
      description:
        'Anything within the viewer’s reach by its id; null for an unknown, removed or foreign one alike.',
      nullable: true,
      authScopes: { scope: 'keys:read' },
    },
    nodesQueryOptions: {
      description:
        'Up to 100 nodes by their ids, in the order asked for; null in place of each that is out of reach.',
      nullable: { list: false, items: true },
      authScopes: { scope: 'keys:read' },
    },
  },
  prisma: {
    client: ({ prisma }) => prisma,
    dmmf: getDatamodel(),
    maxConnectionSize: 100,
    defaultConnectionSize: 20,
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
