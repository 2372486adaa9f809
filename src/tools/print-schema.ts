import { stdout } from 'node:process'
import { printedSchema } from '../schema/index.ts'

// Prints the schema as schema.graphql holds it.
stdout.write(printedSchema())
