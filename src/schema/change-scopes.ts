import {
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  getNamedType,
  isInterfaceType,
  isObjectType,
  isUnionType,
  type SelectionSetNode,
} from 'graphql'
import { hasScope, type Scope } from '../domain/principal.ts'
import type { Context } from './context.ts'

/**
 * The scopes for a mutation of keys: `keys:write`, and `keys:read` too if the operation selects something of its result
 * that `keys:read` guards. The guarded types refuse that by themselves, but only after the change: a new secret would
 * be lost with the answer.
 */
export function changesKeys(
  _root: unknown,
  _args: unknown,
  { principal }: Context,
  info: GraphQLResolveInfo,
): { scope: Scope } {
  const mayChange = principal !== null && hasScope(principal, 'keys:write')
  const search = { info, seen: new Set<string>() }
  const reads = info.fieldNodes.some(
    ({ selectionSet }) => selectionSet && selectsGuarded(selectionSet, info.returnType, search),
  )
  return { scope: mayChange && reads ? 'keys:read' : 'keys:write' }
}

interface Search {
  info: GraphQLResolveInfo
  /** Fragments that were searched. Spreading one again adds nothing. */
  seen: Set<string>
}

function selectsGuarded(
  { selections }: SelectionSetNode,
  parent: GraphQLOutputType,
  search: Search,
): boolean {
  const { info, seen } = search
  return selections.some((selection) => {
    if (selection.kind === 'Field')
      return isGuarded(selection.name.value, selection.selectionSet, parent, search)
    if (selection.kind === 'FragmentSpread') {
      if (seen.has(selection.name.value)) return false
      seen.add(selection.name.value)
    }
    const fragment = selection.kind === 'InlineFragment' ? selection : info.fragments[selection.name.value]
    if (!fragment) return false
    const condition = fragment.typeCondition && info.schema.getType(fragment.typeCondition.name.value)
    return selectsGuarded(fragment.selectionSet, (condition as GraphQLOutputType) ?? parent, search)
  })
}

function isGuarded(
  name: string,
  below: SelectionSetNode | undefined,
  parent: GraphQLOutputType,
  search: Search,
): boolean {
  return objectTypesOf(parent, search.info).some((type) => {
    const field = type.getFields()[name]
    if (!field) return false
    return needsToRead(type, name) || (below !== undefined && selectsGuarded(below, field.type, search))
  })
}

/** The object types that a value of the type may have. */
function objectTypesOf(
  type: GraphQLOutputType,
  { schema }: GraphQLResolveInfo,
): readonly GraphQLObjectType[] {
  const named = getNamedType(type)
  if (isObjectType(named)) return [named]
  return isUnionType(named) || isInterfaceType(named) ? schema.getPossibleTypes(named) : []
}

/** What Pothos keeps of the options that a type or field was declared with. */
interface Declared {
  authScopes?: { scope?: Scope }
  skipTypeScopes?: boolean
}

function needsToRead(type: GraphQLObjectType, name: string): boolean {
  const declared = ({ extensions }: { extensions: Readonly<Record<string, unknown>> }) =>
    (extensions.pothosOptions ?? {}) as Declared
  const field = declared(type.getFields()[name] as { extensions: Readonly<Record<string, unknown>> })
  const ofType = field.skipTypeScopes ? undefined : declared(type).authScopes
  return [ofType, field.authScopes].some((scopes) => scopes?.scope === 'keys:read')
}
