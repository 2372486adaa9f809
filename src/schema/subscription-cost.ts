import { ComplexityErrorKind, complexityFromQuery } from '@pothos/plugin-complexity'
import { type GraphQLResolveInfo, Kind } from 'graphql'
import { fixedLimits, operationLimits } from '../limits.ts'
import { complexityError } from './builder.ts'
import type { Context } from './context.ts'

/** How much work an event is, in fields resolved: for each of its keys, and besides. */
export interface EventWeight {
  perApiKey: number
  besides: number
}

/**
 * Checks what a subscription selects before it starts, and says how much work its events are. The plugin would check it
 * with each event.
 * @throws QueryTooComplexError
 */
export function eventWeightOf(context: Context, info: GraphQLResolveInfo): EventWeight {
  const document = {
    kind: Kind.DOCUMENT as const,
    definitions: [info.operation, ...Object.values(info.fragments)],
  }
  const { complexity, depth, breadth } = complexityFromQuery(document, {
    schema: info.schema,
    ctx: context,
    variables: info.variableValues,
  })
  if (depth > operationLimits.depth) throw complexityError(ComplexityErrorKind.Depth)
  if (breadth > operationLimits.breadth) throw complexityError(ComplexityErrorKind.Breadth)
  if (complexity > operationLimits.cost) throw complexityError(ComplexityErrorKind.Complexity)
  return { perApiKey: complexity / fixedLimits.apiKeysPerEvent, besides: breadth }
}
