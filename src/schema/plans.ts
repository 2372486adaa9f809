import { planRule } from '../domain/catalogue.ts'
import { InvalidInputError } from '../errors.ts'
import { builder } from './builder.ts'

export const Plan = builder.prismaNode('Plan', {
  id: { field: 'id', description: 'The id of the plan.' },
  nullable: true,
  description: 'What an account may have: how many keys, and how many calls a month.',
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'The stable name that operators use, for instance free.' }),
    name: t.exposeString('name', { description: 'The name to show.' }),
    maxApiKeys: t.exposeInt('maxApiKeys', { description: 'How many keys an account may have at a time.' }),
    monthlyCallQuota: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'API calls an account may make in a calendar month; null means no limit.',
      select: { monthlyCallQuota: true },
      resolve: ({ monthlyCallQuota }) => (monthlyCallQuota === null ? null : Number(monthlyCallQuota)),
    }),
  }),
})

builder.queryField('plans', (t) =>
  t.prismaField({
    type: ['Plan'],
    description: 'Every plan, in the order they were made.',
    authScopes: { scope: 'keys:read' },
    complexity: { field: 1, multiplier: 10 },
    resolve: (query, _root, _args, { prisma }) => prisma.plan.findMany({ ...query, orderBy: { id: 'asc' } }),
  }),
)

const SavePlanInput = builder.inputType('SavePlanInput', {
  description: 'A plan as it is to be.',
  validate: planRule,
  fields: (t) => ({
    slug: t.string({
      required: true,
      description:
        'Which plan: lower-case letters and digits in words joined by hyphens. A new slug makes a new plan.',
    }),
    name: t.string({ required: true, description: 'The name to show, up to 100 characters.' }),
    maxApiKeys: t.int({ required: true, description: 'How many keys an account may have; 0 or more.' }),
    monthlyCallQuota: t.field({
      type: 'SafeInt',
      description: 'Calls a month, 0 or more; null or left out is no limit.',
    }),
  }),
})

const SavePlanPayload = builder.objectRef<{ planId: string }>('SavePlanPayload').implement({
  description: 'The plan was saved.',
  fields: (t) => ({
    plan: t.prismaField({
      type: 'Plan',
      description: 'The plan as it is now.',
      resolve: (query, { planId }, _args, { prisma }) =>
        prisma.plan.findUniqueOrThrow({ ...query, where: { id: planId } }),
    }),
  }),
})

builder.mutationField('savePlan', (t) =>
  t.field({
    type: SavePlanPayload,
    description: 'Create or change a plan. A change holds for the very next call. Operators only.',
    authScopes: { scope: 'admin' },
    errors: { types: [InvalidInputError], union: { name: 'SavePlanResult' } },
    args: { input: t.arg({ type: SavePlanInput, required: true, description: 'The plan as it is to be.' }) },
    resolve: async (_root, { input }, { catalogue }) => ({
      planId: await catalogue.savePlan(planRule.parse(input)),
    }),
  }),
)
