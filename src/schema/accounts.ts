import { z } from 'zod'
import type { SavedAccount } from '../domain/accounts.ts'
import { externalIdRule, lineOfText } from '../domain/text.ts'
import { InvalidInputError } from '../errors.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { containing, pageByComparison, pageCost, pageRule } from './connection.ts'
import type { Context } from './context.ts'
import { accountsInScope, apiKeysInScope } from './tenant-scope.ts'
import { AccountUsage, accountUsage } from './usage.ts'

export const Account = builder.prismaNode('Account', {
  id: { field: 'id', description: 'The id of the account.' },
  findUnique: (id, context) => ({ id, AND: accountsInScope(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read' },
  description: 'A customer of the SaaS.',
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      description: "The SaaS's own id for this customer, as in the token's account claim.",
    }),
    name: t.exposeString('name', {
      description: 'The display name; the external id until an operator sets another.',
    }),
    plan: t.relation('plan', { description: 'The plan that the account is on.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the account was created.' }),
    apiKeys: t.prismaConnection({
      type: 'ApiKey',
      cursor: 'id',
      description: 'The keys in the order in which they were added, without removed ones.',
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

const SaveAccountInput = builder.inputType('SaveAccountInput', {
  description: 'The account to create or change.',
  validate: z.object({ externalId: externalIdRule, name: lineOfText(1, 200), plan: z.string() }),
  fields: (t) => ({
    externalId: t.string({
      required: true,
      description:
        'The SaaS’s own id for the customer. An unknown one creates an account with its first key.',
    }),
    name: t.string({ required: true, description: 'The display name, up to 200 characters.' }),
    plan: t.string({
      required: true,
      description: 'The slug of the plan. A smaller plan removes no keys; it only stops new ones.',
    }),
  }),
})

const SaveAccountPayload = builder.objectRef<SavedAccount>('SaveAccountPayload').implement({
  description: 'The account was saved.',
  fields: (t) => ({
    account: t.prismaField({
      type: 'Account',
      description: 'The account after the change.',
      complexity: statementCost,
      resolve: (query, { accountId }, _args, context) =>
        context.prisma.account.findUniqueOrThrow({
          ...query,
          where: { id: accountId, AND: accountsInScope(context) },
        }),
    }),
    firstSecret: t.exposeString('firstSecret', {
      nullable: true,
      description:
        'The whole secret of the first key, if the account was created with one; else null. Unless the server keeps secrets recoverable, it cannot be shown again.',
    }),
  }),
})

builder.mutationField('saveAccount', (t) =>
  t.field({
    type: SaveAccountPayload,
    description: 'Create an account, or change its name and plan. Operators only.',
    complexity: statementCost,
    authScopes: { scope: 'admin' },
    errors: { types: [InvalidInputError], union: { name: 'SaveAccountResult' } },
    args: {
      input: t.arg({
        type: SaveAccountInput,
        required: true,
        description: 'The account to create or change.',
      }),
    },
    resolve: (_root, { input }, { accounts }) => accounts.save(input),
  }),
)
