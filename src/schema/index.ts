import { isObjectType, lexicographicSortSchema, printSchema } from 'graphql'
import { builder } from './builder.ts'
import './errors.ts'
import './plans.ts'
import './api-calls.ts'
import './accounts.ts'
import './keys/api-key.ts'
import './keys/mutations.ts'
import './usage.ts'
import './metering.ts'
import './live-usage.ts'

/** The schema that the server executes. */
export const schema = builder.toSchema({ sortSchema: true })

// The one field that Pothos makes without a way to describe it.
for (const type of Object.values(schema.getTypeMap())) {
  const totalCount = isObjectType(type) && type.getFields().totalCount
  if (totalCount) totalCount.description = 'How many rows there are, on all the pages together.'
}

/** The schema as schema.graphql holds it. */
export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`
}
