import { stdout } from 'node:process'
import { printedSchema } from '../schema/index.ts'

// Writes the schema to standard output, in the form of schema.graphql.
stdout.write(printedSchema())
