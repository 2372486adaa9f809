import { readFileSync } from 'node:fs'
import {
  buildSchema,
  type GraphQLArgument,
  isEnumType,
  isInputObjectType,
  isIntrospectionType,
  isSpecifiedScalarType,
  isUnionType,
} from 'graphql'
import { describe, expect, it } from 'vitest'

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))

/** Everything in the schema that GraphiQL shows: its coordinate and description. */
function* described(): Generator<[coordinate: string, description: string]> {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue
    yield [type.name, type.description ?? '']
    if (isEnumType(type))
      for (const { name, description } of type.getValues()) yield [`${type.name}.${name}`, description ?? '']
    if (isEnumType(type) || isUnionType(type) || !('getFields' in type)) continue
    for (const field of Object.values(type.getFields())) {
      yield [`${type.name}.${field.name}`, field.description ?? '']
      if (isInputObjectType(type)) continue
      for (const arg of (field as { args: readonly GraphQLArgument[] }).args)
        yield [`${type.name}.${field.name}(${arg.name}:)`, arg.description ?? '']
    }
  }
}

/** Words for the implementation, which mean nothing to a reader of the schema. */
const internals =
  /\b(prisma|pothos|postgres\w*|pglite|sql|redis|yoga|resolvers?|database|tables?|columns?|uuid|todo)\b/i

describe('schema.graphql', () => {
  const all = [...described()]

  it('describes every type, field, argument, enum value and input field', () => {
    expect(all.filter(([, description]) => !description.trim()).map(([coordinate]) => coordinate)).toEqual([])
    expect(all.length).toBeGreaterThan(150)
  })

  it('describes them in sentences', () => {
    const unfinished = all.filter(([, description]) => !/^.+\.$/s.test(description.trim()))
    expect(unfinished).toEqual([])
  })

  it('mentions nothing internal', () => {
    expect(all.filter(([, description]) => internals.test(description))).toEqual([])
  })
})
