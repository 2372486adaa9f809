import { isObjectType, lexicographicSortSchema, printSchema } from 'graphql'
import { builder } from './builder.ts'
import './errors.ts'
import './plans.ts'
import './api-calls.ts'
import './accounts.ts'
import './account-changes.ts'
import './api-keys.ts'
import './operator-keys.ts'
import './api-key-changes.ts'
import './api-key-limits.ts'
import './api-key-secrets.ts'
import './describe-secret.ts'
import './usage.ts'
import './metering.ts'
import './live-usage.ts'
import './nodes.ts'

/** The schema that the server executes. */
export const schema = builder.toSchema({ sortSchema: true })

// The one field that Pothos creates without an option for its description.
for (const type of Object.values(schema.getTypeMap())) {
  const totalCount = isObjectType(type) && type.getFields().totalCount
  if (totalCount) totalCount.description = 'The number of rows on all pages together.'
}

/** The schema as schema.graphql holds it. */
export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`
}
