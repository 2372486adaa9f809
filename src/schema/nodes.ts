import { brandWithType, type OutputType, type SchemaTypes } from '@pothos/core'
import { queryFromInfo } from '@pothos/plugin-prisma'
import type { GraphQLResolveInfo } from 'graphql'
import { z } from 'zod'
import { listLimits, statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { type NodeType, parseGlobalId } from './global-id.ts'
import { accountsInScope, apiKeysInScope, plansInScope } from './tenant-scope.ts'

type Query = Record<string, never>
type Row = { id: string }
type Read = (query: Query, ids: string[], context: Context) => PromiseLike<Row[]>

/** Reads the rows of one type that are in scope, in any order. */
const readers: Record<NodeType, Read> = {
  Account: (query, ids, context) =>
    context.prisma.account.findMany({ ...query, where: { id: { in: ids }, AND: accountsInScope(context) } }),
  ApiCall: (query, ids, { prisma }) => prisma.apiCall.findMany({ ...query, where: { id: { in: ids } } }),
  ApiKey: (query, ids, context) =>
    context.prisma.apiKey.findMany({ ...query, where: { id: { in: ids }, ...apiKeysInScope(context) } }),
  Plan: (query, ids, context) =>
    context.prisma.plan.findMany({ ...query, where: { id: { in: ids }, ...plansInScope(context) } }),
}

builder.queryField('nodes', (t) =>
  t.field({
    type: [builder.nodeInterfaceRef()],
    description:
      'Up to 100 objects by their ids, in the order of the ids; null for each that is unknown, removed or another account’s.',
    nullable: { list: false, items: true },
    authScopes: { scope: 'keys:read' },
    complexity: ({ ids }) => ({ field: statementCost + ids.length, multiplier: ids.length }),
    args: {
      // Not `globalIDList`, which would parse them to judge the cost, too.
      ids: t.arg.idList({
        required: true,
        validate: z.array(z.any()).max(listLimits.nodes, `At most ${listLimits.nodes} ids.`),
        description: 'Up to 100 ids.',
      }),
    },
    resolve: async (_root, { ids }, context, info) => {
      await context.share.turn(ids.length)
      const wanted = ids.map(parseGlobalId)
      const types = [...new Set(wanted.map(({ typename }) => typename))]
      const rows = new Map(
        await Promise.all(
          types.map(async (type) => [type, await rowsOf(type, wanted, context, info)] as const),
        ),
      )
      return wanted.map(({ typename, id }) => rows.get(typename)?.get(id) ?? null)
    },
  }),
)

/** The wanted rows of one type, by id, with what the operation selects of them: one statement, however many ids. */
async function rowsOf(
  type: NodeType,
  wanted: readonly { typename: NodeType; id: string }[],
  context: Context,
  info: GraphQLResolveInfo,
): Promise<Map<string, Row>> {
  const ids = new Set(wanted.flatMap(({ typename, id }) => (typename === type ? [id] : [])))
  const query = (await queryFromInfo({ context, info, typeName: type, awaitSelections: true })) as Query
  const rows = await readers[type](query, [...ids], context)
  for (const row of rows) brandWithType(row, type as OutputType<SchemaTypes>)
  return new Map(rows.map((row) => [row.id, row]))
}
