import {
  ApiKeyLimitReachedError,
  InvalidInputError,
  type InputIssue as Issue,
  NotFoundError,
} from '../errors.ts'
import { builder } from './builder.ts'

const ErrorInterface = builder.interfaceRef<Error>('Error').implement({
  description: 'An expected refusal, returned as data. Every error type implements it.',
  fields: (t) => ({
    message: t.exposeString('message', {
      description: 'What went wrong and what to do, for a person to read.',
    }),
  }),
})

const InputIssue = builder.objectRef<Issue>('InputIssue').implement({
  description: 'One thing that is wrong with the input.',
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Where, from the argument inwards: ["input", "note"].' }),
    message: t.exposeString('message', { description: 'What is wrong there, and what is allowed.' }),
  }),
})

builder.objectType(InvalidInputError, {
  name: 'InvalidInput',
  description: 'The input breaks a rule; nothing was changed. Every broken rule is listed.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    issues: t.field({
      type: [InputIssue],
      description: 'Every broken rule.',
      resolve: ({ issues }) => issues,
    }),
  }),
})

builder.objectType(NotFoundError, {
  name: 'NotFound',
  description: "Unknown, removed or another account's: the three are never told apart.",
  interfaces: [ErrorInterface],
})

builder.objectType(ApiKeyLimitReachedError, {
  name: 'ApiKeyLimitReached',
  description: "The plan's number of keys is in use.",
  interfaces: [ErrorInterface],
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'How many keys the plan allows.' }),
    plan: t.prismaField({
      type: 'Plan',
      description: 'The plan of the account.',
      resolve: (query, { planId }, _args, { prisma }) =>
        prisma.plan.findUniqueOrThrow({ ...query, where: { id: planId } }),
    }),
  }),
})
