import { NIL, validate } from 'uuid'

const nodeTypes = ['Account', 'ApiCall', 'ApiKey', 'Plan'] as const
/** The types that have ids of their own. */
export type NodeType = (typeof nodeTypes)[number]

/** The id under which the API knows a row: base64url of `Type:uuid`. */
export function globalIdOf(type: NodeType, id: string): string {
  return Buffer.from(`${type}:${id}`).toString('base64url')
}

/**
 * What a global id stands for. Text that is no id at all comes out as the id of a key that never exists, so
 * that it is answered just as an unknown id is.
 */
export function parseGlobalId(globalId: string): { typename: NodeType; id: string } {
  const [type, id = '', ...rest] = Buffer.from(globalId, 'base64url').toString().split(':')
  const typename = nodeTypes.find((known) => known === type)
  return typename && rest.length === 0 && validate(id) ? { typename, id } : { typename: 'ApiKey', id: NIL }
}

/** The row's id in a global id of the given type; one that never exists for an id of another type. */
export function idOf(type: NodeType, globalId: string): string {
  const { typename, id } = parseGlobalId(globalId)
  return typename === type ? id : NIL
}
