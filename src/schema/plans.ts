import { planRule } from '../domain/catalogue.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { RateLimit, RateLimitInput, rateLimitColumns, rateLimitOf } from './rate-limit.ts'
import { grantedBySecret, plansInScope } from './tenant-scope.ts'

export const Plan = builder.prismaNode('Plan', {
  id: { field: 'id', description: 'The id of the plan.' },
  findUnique: (id, context) => ({ id, ...plansInScope(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read', $granted: grantedBySecret },
  description: 'Limits of an account: how many keys it may have, and how many calls it may make per month.',
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'The stable name that operators use, for example free.' }),
    name: t.exposeString('name', { description: 'The display name.' }),
    maxApiKeys: t.exposeInt('maxApiKeys', { description: 'How many keys an account may have.' }),
    monthlyCallQuota: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'How many calls an account may make per calendar month; null means no limit.',
      select: { monthlyCallQuota: true },
      resolve: ({ monthlyCallQuota }) => (monthlyCallQuota === null ? null : Number(monthlyCallQuota)),
    }),
    rateLimit: t.field({
      type: RateLimit,
      nullable: true,
      description: "The rate of all of an account's keys together; null means no limit.",
      select: rateLimitColumns,
      resolve: rateLimitOf,
    }),
    listed: t.exposeBoolean('listed', {
      description: 'Whether every customer sees the plan, or only the accounts that are on it.',
    }),
  }),
})

builder.queryField('plans', (t) =>
  t.prismaField({
    type: ['Plan'],
    description:
      'The listed plans and the one that the viewer’s account is on, in the order in which they were created. Operators see all plans.',
    authScopes: { scope: 'keys:read' },
    complexity: { field: statementCost, multiplier: 10 },
    resolve: (query, _root, _args, context) =>
      context.prisma.plan.findMany({ ...query, where: plansInScope(context), orderBy: { id: 'asc' } }),
  }),
)

const SavePlanInput = builder.inputType('SavePlanInput', {
  description: 'The plan to create or change.',
  validate: planRule,
  fields: (t) => ({
    slug: t.string({
      required: true,
      description:
        'Lower-case letters and digits, in words joined by hyphens. An unknown slug creates a plan.',
    }),
    name: t.string({ required: true, description: 'The display name, up to 100 characters.' }),
    maxApiKeys: t.int({ required: true, description: 'How many keys an account may have, 0 or more.' }),
    monthlyCallQuota: t.field({
      type: 'SafeInt',
      description:
        'How many calls an account may make per calendar month, 0 or more; no limit if null or left out.',
    }),
    rateLimit: t.field({
      type: RateLimitInput,
      description:
        "The rate of all of an account's keys together; null means no limit. If left out, a new plan has none and an existing one keeps its own.",
    }),
    listed: t.boolean({
      description:
        'Whether every customer sees the plan, or only the accounts that are on it. If left out, a new plan is listed and an existing one stays as it is.',
    }),
  }),
})

const SavePlanPayload = builder.objectRef<{ planId: string }>('SavePlanPayload').implement({
  description: 'The plan was saved.',
  fields: (t) => ({
    plan: t.prismaField({
      type: 'Plan',
      description: 'The plan after the change.',
      complexity: statementCost,
      resolve: (query, { planId }, _args, { prisma }) =>
        prisma.plan.findUniqueOrThrow({ ...query, where: { id: planId } }),
    }),
  }),
})

builder.mutationField('savePlan', (t) =>
  t.field({
    type: SavePlanPayload,
    description: 'Create or change a plan. The change applies to the next call. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError], union: { name: 'SavePlanResult' } },
    args: {
      input: t.arg({ type: SavePlanInput, required: true, description: 'The plan to create or change.' }),
    },
    resolve: async (_root, { input }, { catalogue }) => ({
      planId: await catalogue.savePlan(planRule.parse(input)),
    }),
  }),
)

const RemovePlanInput = builder.inputType('RemovePlanInput', {
  description: 'The plan to remove.',
  fields: (t) => ({ slug: t.string({ required: true, description: 'The slug of the plan.' }) }),
})

const RemovePlanPayload = builder.objectRef<{ planId: string }>('RemovePlanPayload').implement({
  description: 'The plan was removed.',
  fields: (t) => ({
    removedPlanId: t.id({
      description: 'The id that the plan had.',
      resolve: ({ planId }) => globalIdOf('Plan', planId),
    }),
  }),
})

builder.mutationField('removePlan', (t) =>
  t.field({
    type: RemovePlanPayload,
    description:
      'Remove a plan that no account is on. InvalidInput names some of the accounts that are. The plan that new customers start on stays. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'RemovePlanResult' } },
    args: { input: t.arg({ type: RemovePlanInput, required: true, description: 'The plan to remove.' }) },
    resolve: async (_root, { input }, { catalogue }) => ({ planId: await catalogue.removePlan(input.slug) }),
  }),
)
