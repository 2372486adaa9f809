import {
  ApiKeyLimitReachedError,
  InvalidInputError,
  type InputIssue as Issue,
  NotFoundError,
} from '../errors.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'

const ErrorInterface = builder.interfaceRef<Error>('Error').implement({
  description: 'An expected refusal, returned as data. Every error type implements it.',
  fields: (t) => ({
    message: t.exposeString('message', {
      description: 'What went wrong and what to do about it, for people to read.',
    }),
  }),
})

const InputIssue = builder.objectRef<Issue>('InputIssue').implement({
  description: 'A rule that the input breaks.',
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description: 'The path to the value, starting with the argument, for example ["input", "note"].',
    }),
    message: t.exposeString('message', { description: 'What is wrong and what is allowed.' }),
  }),
})

builder.objectType(InvalidInputError, {
  name: 'InvalidInput',
  description: 'The input is invalid; nothing was changed.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    issues: t.field({
      type: [InputIssue],
      description: 'Every rule that the input breaks.',
      resolve: ({ issues }) => issues,
    }),
  }),
})

builder.objectType(NotFoundError, {
  name: 'NotFound',
  description:
    "There is no such key, account, plan or API call: the id is unknown, removed or another account's. The answer is the same for all three.",
  interfaces: [ErrorInterface],
})

builder.objectType(ApiKeyLimitReachedError, {
  name: 'ApiKeyLimitReached',
  description: 'The account has as many keys as its plan allows; none was added.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'How many keys the plan allows.' }),
    plan: t.prismaField({
      type: 'Plan',
      description: 'The plan of the account.',
      complexity: statementCost,
      resolve: (query, { planId }, _args, { prisma }) =>
        prisma.plan.findUniqueOrThrow({ ...query, where: { id: planId } }),
    }),
  }),
})
