import { NIL, validate } from 'uuid'

const nodeTypes = ['Account', 'ApiCall', 'ApiKey', 'Plan'] as const
/** The types with global ids. */
export type NodeType = (typeof nodeTypes)[number]

/** A row's id in the API: base64url of `Type:uuid`. */
export function globalIdOf(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url')
}

/**
 * The type and row id in a global id. Text that is not a global id becomes that of a key that never exists, so it gets
 * the same answer as an unknown id.
 */
export function parseGlobalId(globalId: string): { typename: NodeType; id: string } {
  const [type, id = '', ...rest] = Buffer.from(globalId, 'base64url').toString().split(':')
  const typename = nodeTypes.find((known) => known === type)
  return typename && rest.length === 0 && validate(id) ? { typename, id } : { typename: 'ApiKey', id: NIL }
}

/** The row id in a global id of the given type. For an id of another type, a row id that never exists. */
export function idOf(type: NodeType, globalId: string): string {
  const { typename, id } = parseGlobalId(globalId)
  return typename === type ? id : NIL
}
