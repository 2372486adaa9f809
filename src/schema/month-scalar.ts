import { GraphQLError, GraphQLScalarType, Kind } from 'graphql'
import { isMonth, type Month } from '../domain/month.ts'

/** `YYYY-MM`. Anything else is refused before a resolver sees it. */
export const MonthScalar = new GraphQLScalarType<Month, Month>({
  name: 'Month',
  description: 'A calendar month in UTC, as YYYY-MM.',
  serialize: monthFrom,
  parseValue: monthFrom,
  parseLiteral: (node) => monthFrom(node.kind === Kind.STRING ? node.value : undefined),
})

function monthFrom(value: unknown): Month {
  if (typeof value === 'string' && isMonth(value)) return value
  throw new GraphQLError('A month is written YYYY-MM, for instance 2026-01.')
}
