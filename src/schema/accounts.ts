import { externalIdRule } from '../domain/text.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { containing, pageByComparison, pageCost, pageRule } from './connection.ts'
import type { Context } from './context.ts'
import { accountsInScope, apiKeysInScope, grantedBySecret, scopeToRead } from './tenant-scope.ts'
import { AccountUsage, accountUsage } from './usage.ts'

export const Account = builder.prismaNode('Account', {
  id: { field: 'id', description: 'The id of the account.' },
  findUnique: (id, context) => ({ id, AND: accountsInScope(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read', $granted: grantedBySecret },
  description: 'A customer of the SaaS.',
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      description: "The SaaS's own id for this customer, as in the token's account claim.",
    }),
    name: t.exposeString('name', {
      description: 'The display name; the external id until an operator sets another.',
    }),
    plan: t.relation('plan', {
      description: 'The plan that the account is on.',
      grantScopes: [grantedBySecret],
    }),
    suspended: t.exposeBoolean('suspended', {
      description: 'Whether every call of its keys is refused. Only operators suspend accounts.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the account was created.' }),
    apiKeys: t.prismaConnection({
      type: 'ApiKey',
      cursor: 'id',
      description: 'The keys in the order in which they were added, without removed ones.',
      authScopes: ({ id }, _args, context) => ({ scope: scopeToRead(context, id) }),
      args: {
        search: t.arg.string({
          description: 'Only keys whose note or start contains this text; upper and lower case are the same.',
        }),
      },
      validate: pageRule,
      complexity: pageCost,
      resolve: (query, account, { search }, context) => {
        const { page, beyond } = pageByComparison(query, 'asc')
        return context.prisma.apiKey.findMany({
          ...page,
          where: { AND: [keysInScope(account.id, search, context), beyond] },
        })
      },
      totalCount: (account, { search }, context) =>
        context.prisma.apiKey.count({ where: keysInScope(account.id, search, context) }),
    }),
    apiKeysRemaining: t.int({
      description: 'How many more keys the plan allows; never negative.',
      complexity: statementCost,
      authScopes: ({ id }, _args, context) => ({ scope: scopeToRead(context, id) }),
      select: { id: true, plan: { select: { maxApiKeys: true } } },
      // Not Prisma's `_count`, which counts the keys of all accounts.
      resolve: async ({ id, plan }, _args, context) => {
        const keys = await context.prisma.apiKey.count({ where: keysInScope(id, null, context) })
        return Math.max(0, plan.maxApiKeys - keys)
      },
    }),
    usage: t.field({
      type: AccountUsage,
      description: "Calls made with all of the account's keys in one month, removed keys included.",
      args: { month: t.arg({ type: 'Month', description: 'The month; the current one if left out.' }) },
      complexity: 2,
      select: { id: true, plan: { select: { monthlyCallQuota: true } } },
      resolve: ({ id, plan }, { month }, context) => accountUsage(id, plan.monthlyCallQuota, month, context),
    }),
  }),
})

function keysInScope(accountId: string, search: string | null | undefined, context: Context) {
  const matching = search ? { OR: [{ note: containing(search) }, { start: containing(search) }] } : {}
  return { AND: [{ accountId }, apiKeysInScope(context), matching] }
}

const Viewer = builder.objectRef<NonNullable<Context['principal']>>('Viewer').implement({
  description: 'Who the bearer token speaks for.',
  fields: (t) => ({
    subject: t.exposeString('subject', { description: 'The token’s sub claim.' }),
    scopes: t.stringList({ description: 'The scopes of the token.', resolve: ({ scopes }) => [...scopes] }),
    account: t.prismaField({
      type: 'Account',
      nullable: true,
      description: "The viewer's own account; null for operators and gateways.",
      complexity: statementCost,
      authScopes: { scope: 'keys:read' },
      resolve: (query, _viewer, _args, context) =>
        context.ownAccountId === null
          ? null
          : context.prisma.account.findUnique({
              ...query,
              where: { id: context.ownAccountId, AND: accountsInScope(context) },
            }),
    }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who the bearer token speaks for.',
    authScopes: { authenticated: true },
    resolve: (_root, _args, { principal }) => principal as NonNullable<typeof principal>,
  }),
)

builder.queryField('account', (t) =>
  t.prismaField({
    type: 'Account',
    nullable: true,
    description: "The viewer's own account. Operators name any account by its external id.",
    complexity: statementCost,
    authScopes: { scope: 'keys:read' },
    args: {
      externalId: t.arg.string({
        validate: externalIdRule.nullish(),
        description: 'For operators: the external id of the account. Customers may leave it out.',
      }),
    },
    resolve: (query, _root, { externalId }, context) => {
      const { prisma, ownAccountId } = context
      const find = (where: { id: string } | { externalId: string }) =>
        prisma.account.findUnique({ ...query, where: { ...where, AND: accountsInScope(context) } })
      if (externalId != null) return find({ externalId })
      return ownAccountId === null ? null : find({ id: ownAccountId })
    },
  }),
)

builder.queryField('accounts', (t) =>
  t.prismaConnection({
    type: 'Account',
    cursor: 'id',
    description: 'All accounts, newest first. Operators only.',
    authScopes: { scope: 'admin' },
    args: {
      search: t.arg.string({
        description:
          'Only accounts whose external id or name contains this text; upper and lower case are the same.',
      }),
    },
    validate: pageRule,
    complexity: pageCost,
    resolve: (query, _root, { search }, context) => {
      const { page, beyond } = pageByComparison(query, 'desc')
      return context.prisma.account.findMany({
        ...page,
        where: { AND: [accountsInScope(context), matching(search), beyond] },
      })
    },
    totalCount: (_connection, { search }, context) =>
      context.prisma.account.count({ where: { AND: [accountsInScope(context), matching(search)] } }),
  }),
)

function matching(search: string | null | undefined) {
  return search ? { OR: [{ externalId: containing(search) }, { name: containing(search) }] } : {}
}
