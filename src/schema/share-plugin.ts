import SchemaBuilder, {
  BasePlugin,
  isThenable,
  type PothosOutputFieldConfig,
  type PothosOutputFieldType,
  type SchemaTypes,
} from '@pothos/core'
import {
  type GraphQLFieldResolver,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql'
import { fixedLimits } from '../limits.ts'
import type { Share } from './share.ts'

const name = 'share'
export default name

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      share: SharePlugin<Types>
    }
  }
}

type Resolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>

/**
 * Keeps what resolvers do within the viewer's share: mutations take a database connection for their work, and lists
 * are resolved in parts, each in a turn of the event loop. Metering does neither.
 */
export class SharePlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  readonly #fieldsBelow = new WeakMap<SelectionSetNode, number>()

  override wrapResolve(resolve: Resolver<Types>, field: PothosOutputFieldConfig<Types>): Resolver<Types> {
    if (field.extensions?.metering) return resolve
    if (field.parentType === 'Mutation') return inStatement(resolve)
    const fieldsInTurn = Number(field.extensions?.fieldsInTurn ?? 0)
    return isListOfObjects(field.type) ? this.#inParts(resolve, fieldsInTurn) : resolve
  }

  /** @param fieldsInTurn how many fields of the list are resolved in a turn that was taken already */
  #inParts(resolve: Resolver<Types>, fieldsInTurn: number): Resolver<Types> {
    return (parent, args, context, info) => {
      const { share } = context as { share: Share }
      const inParts = (items: unknown) =>
        Array.isArray(items) && items.length > 0
          ? listInParts(items, this.#fieldsOfItem(info), fieldsInTurn, share)
          : items
      const items: unknown = resolve(parent, args, context, info)
      return isThenable(items) ? items.then(inParts) : inParts(items)
    }
  }

  /** The fields that are resolved for one item. Lists in it count for themselves, when they are resolved. */
  #fieldsOfItem(info: GraphQLResolveInfo): number {
    return info.fieldNodes.reduce(
      (sum, { selectionSet }) => sum + this.#fieldsIn(selectionSet, info.returnType, info),
      1,
    )
  }

  #fieldsIn(
    selectionSet: SelectionSetNode | undefined,
    type: GraphQLOutputType,
    info: GraphQLResolveInfo,
  ): number {
    if (!selectionSet) return 0
    const known = this.#fieldsBelow.get(selectionSet)
    if (known !== undefined) return known
    const named = getNamedType(type)
    const fields = isObjectType(named) || isInterfaceType(named) ? named.getFields() : {}
    let count = 0
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) {
        const field = fields[selection.name.value]
        count++
        if (field && !isList(field.type)) count += this.#fieldsIn(selection.selectionSet, field.type, info)
      } else {
        const fragment =
          selection.kind === Kind.FRAGMENT_SPREAD ? info.fragments[selection.name.value] : selection
        const narrowed = fragment?.typeCondition && info.schema.getType(fragment.typeCondition.name.value)
        const target = isCompositeType(narrowed) ? narrowed : type
        count += this.#fieldsIn(fragment?.selectionSet, target, info)
      }
    }
    this.#fieldsBelow.set(selectionSet, count)
    return count
  }
}

/** The domain's work takes one connection; what the payload selects is read afterwards. */
function inStatement<Types extends SchemaTypes>(resolve: Resolver<Types>): Resolver<Types> {
  return (parent, args, context, info) =>
    (context as { share: Share }).share.statement(async () => await resolve(parent, args, context, info))
}

function isListOfObjects<Types extends SchemaTypes>(type: PothosOutputFieldType<Types>): boolean {
  return type.kind === 'List' && ['Object', 'Interface', 'Union'].includes(type.type.kind)
}

function isList(type: GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type)
}

/** The same items; those whose turn comes later are promises. */
function listInParts(
  items: readonly unknown[],
  fieldsPerItem: number,
  fieldsInTurn: number,
  share: Share,
): unknown[] {
  const itemsPerPart = Math.max(1, Math.floor(fixedLimits.fieldsPerPart / fieldsPerItem))
  const list: unknown[] = items.slice(0, Math.floor(fieldsInTurn / fieldsPerItem))
  for (let start = list.length; start < items.length; start += itemsPerPart) {
    const part = items.slice(start, start + itemsPerPart)
    const turn = share.turn(part.length * fieldsPerItem)
    for (const item of part) list.push(turn ? turn.then(() => item) : item)
  }
  return list
}

// A process may load this module more than once: Vitest does for each project.
SchemaBuilder.allowPluginReRegistration = true
SchemaBuilder.registerPlugin(name, SharePlugin)
