import { z } from 'zod'
import { externalIdRule, lineOfText } from '../domain/text.ts'
import { InvalidInputError } from '../errors.ts'
import { builder } from './builder.ts'
import { containing, pageByComparison, pageCost, pageRule } from './connection.ts'
import type { Context } from './context.ts'
import { reachableAccounts, reachableApiKeys } from './reach.ts'
import { AccountUsage, accountUsage } from './usage.ts'

export const Account = builder.prismaNode('Account', {
  id: { field: 'id', description: 'The id of the account.' },
  findUnique: (id, context) => ({ id, AND: reachableAccounts(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read' },
  description: 'A customer of the SaaS.',
  fields: (t) => ({
    externalId: t.exposeString('externalId', {
      description: "The id that the SaaS itself gives this customer (the token's account claim).",
    }),
    name: t.exposeString('name', {
      description: 'The name to show; the external id until an operator sets one.',
    }),
    plan: t.relation('plan', { description: 'What the account may have.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the account was made.' }),
    apiKeys: t.prismaConnection({
      type: 'ApiKey',
      cursor: 'id',
      description:
        "Keys in the order they were added, removed ones left out; search matches the note and the key's start.",
      args: {
        search: t.arg.string({ description: 'Only keys whose note or start holds this, in either case.' }),
      },
      validate: pageRule,
      complexity: pageCost,
      resolve: (query, account, { search }, context) => {
        const { page, beyond } = pageByComparison(query, 'asc')
        return context.prisma.apiKey.findMany({
          ...page,
          where: { AND: [keysOf(account.id, search, context), beyond] },
        })
      },
      totalCount: (account, { search }, context) =>
        context.prisma.apiKey.count({ where: keysOf(account.id, search, context) }),
    }),
    apiKeysRemaining: t.int({
      description: 'How many more keys the plan allows; never negative.',
      select: {
        plan: { select: { maxApiKeys: true } },
        _count: { select: { apiKeys: { where: { removedAt: null } } } },
      },
      resolve: ({ plan, _count }) => Math.max(0, plan.maxApiKeys - _count.apiKeys),
    }),
    usage: t.field({
      type: AccountUsage,
      description:
        "Calls of all the account's keys in one month, removed keys included; this month when month is left out.",
      args: { month: t.arg({ type: 'Month', description: 'The month; this month when left out.' }) },
      select: { id: true, plan: { select: { monthlyCallQuota: true } } },
      resolve: ({ id, plan }, { month }, context) => accountUsage(id, plan.monthlyCallQuota, month, context),
    }),
  }),
})

function keysOf(accountId: string, search: string | null | undefined, context: Context) {
  const matching = search ? { OR: [{ note: containing(search) }, { start: containing(search) }] } : {}
  return { AND: [{ accountId }, reachableApiKeys(context), matching] }
}

const Viewer = builder.objectRef<NonNullable<Context['principal']>>('Viewer').implement({
  description: 'Who the bearer token speaks for.',
  fields: (t) => ({
    subject: t.exposeString('subject', { description: 'Who acts: the token’s sub claim.' }),
    scopes: t.stringList({ description: 'What the token allows.', resolve: ({ scopes }) => [...scopes] }),
    account: t.prismaField({
      type: 'Account',
      nullable: true,
      description: "The viewer's own account; null for operators and gateways.",
      authScopes: { scope: 'keys:read' },
      resolve: (query, _viewer, _args, { prisma, ownAccountId }) =>
        ownAccountId === null ? null : prisma.account.findUnique({ ...query, where: { id: ownAccountId } }),
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
    description: "The viewer's own account. An operator names any account by its external id.",
    authScopes: { scope: 'keys:read' },
    args: {
      externalId: t.arg.string({
        validate: externalIdRule.nullish(),
        description: 'For operators: whose account. Customers may leave it out.',
      }),
    },
    resolve: (query, _root, { externalId }, context) => {
      const { prisma, ownAccountId } = context
      if (externalId == null)
        return ownAccountId === null
          ? null
          : prisma.account.findUnique({ ...query, where: { id: ownAccountId } })
      return prisma.account.findUnique({ ...query, where: { externalId, AND: reachableAccounts(context) } })
    },
  }),
)

builder.queryField('accounts', (t) =>
  t.prismaConnection({
    type: 'Account',
    cursor: 'id',
    description: 'Every account, newest first, found by external id or name. Operators only.',
    authScopes: { scope: 'admin' },
    args: {
      search: t.arg.string({
        description: 'Only accounts whose external id or name holds this, in either case.',
      }),
    },
    validate: pageRule,
    complexity: pageCost,
    resolve: (query, _root, { search }, { prisma }) => {
      const { page, beyond } = pageByComparison(query, 'desc')
      return prisma.account.findMany({ ...page, where: { AND: [matching(search), beyond] } })
    },
    totalCount: (_connection, { search }, { prisma }) => prisma.account.count({ where: matching(search) }),
  }),
)

function matching(search: string | null | undefined) {
  return search ? { OR: [{ externalId: containing(search) }, { name: containing(search) }] } : {}
}

const SaveAccountInput = builder.inputType('SaveAccountInput', {
  description: 'An account as it is to be.',
  validate: z.object({ externalId: externalIdRule, name: lineOfText(1, 200), plan: z.string() }),
  fields: (t) => ({
    externalId: t.string({
      required: true,
      description:
        'Which account: the id that the SaaS gives the customer. A new one makes a new account, with its first key.',
    }),
    name: t.string({ required: true, description: 'The name to show, up to 200 characters.' }),
    plan: t.string({
      required: true,
      description: 'The slug of its plan. A smaller plan removes no keys: it only stops adding.',
    }),
  }),
})

const SaveAccountPayload = builder.objectRef<{ accountId: string }>('SaveAccountPayload').implement({
  description: 'The account was saved.',
  fields: (t) => ({
    account: t.prismaField({
      type: 'Account',
      description: 'The account as it is now.',
      resolve: (query, { accountId }, _args, { prisma }) =>
        prisma.account.findUniqueOrThrow({ ...query, where: { id: accountId } }),
    }),
  }),
})

builder.mutationField('saveAccount', (t) =>
  t.field({
    type: SaveAccountPayload,
    description: 'Create or change an account, its plan included. Operators only.',
    authScopes: { scope: 'admin' },
    errors: { types: [InvalidInputError], union: { name: 'SaveAccountResult' } },
    args: {
      input: t.arg({ type: SaveAccountInput, required: true, description: 'The account as it is to be.' }),
    },
    resolve: async (_root, { input }, { accounts }) => ({ accountId: await accounts.save(input) }),
  }),
)
