import { apiCallRule } from '../domain/catalogue.ts'
import { searchRule } from '../domain/text.ts'
import { InvalidInputError } from '../errors.ts'
import { ApiCallKind as apiCallKinds } from '../generated/prisma/client.ts'
import { builder } from './builder.ts'

const ApiCallKind = builder.enumType('ApiCallKind', {
  description: 'Whether an API call only looks or also changes something.',
  values: {
    [apiCallKinds.READ]: { description: 'It changes nothing.' },
    [apiCallKinds.WRITE]: { description: 'It changes something.' },
  },
})

export const ApiCall = builder.prismaNode('ApiCall', {
  id: { field: 'id', description: 'The id of the API call.' },
  nullable: true,
  description: 'One call of the SaaS’s API that keys can be restricted to.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'The stable name that gateways send, for instance v3.uptime-monitors.list.',
    }),
    title: t.exposeString('title', { description: 'The name to show.' }),
    category: t.exposeString('category', { description: 'What it is listed under.' }),
    kind: t.expose('kind', {
      type: ApiCallKind,
      description: 'Whether it only looks or also changes something.',
    }),
  }),
})

builder.queryField('apiCalls', (t) =>
  t.prismaField({
    type: ['ApiCall'],
    description: 'The catalogue of API calls that keys can be restricted to.',
    authScopes: { scope: 'keys:read' },
    complexity: { field: 1, multiplier: 50 },
    args: {
      category: t.arg.string({ validate: searchRule.nullish(), description: 'Only those of this category.' }),
    },
    resolve: (query, _root, { category }, { prisma }) =>
      prisma.apiCall.findMany({
        ...query,
        where: category == null ? {} : { category },
        orderBy: { id: 'asc' },
      }),
  }),
)

const SaveApiCallInput = builder.inputType('SaveApiCallInput', {
  description: 'An entry of the catalogue as it is to be.',
  validate: apiCallRule,
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'Which API call: up to 100 letters, digits and . _ : / -. A new name makes a new entry.',
    }),
    title: t.string({ required: true, description: 'The name to show, up to 100 characters.' }),
    category: t.string({ required: true, description: 'What to list it under, up to 100 characters.' }),
    kind: t.field({
      type: ApiCallKind,
      required: true,
      description: 'Whether it only looks or also changes something.',
    }),
  }),
})

const SaveApiCallPayload = builder.objectRef<{ apiCallId: string }>('SaveApiCallPayload').implement({
  description: 'The API call was saved.',
  fields: (t) => ({
    apiCall: t.prismaField({
      type: 'ApiCall',
      description: 'The entry as it is now.',
      resolve: (query, { apiCallId }, _args, { prisma }) =>
        prisma.apiCall.findUniqueOrThrow({ ...query, where: { id: apiCallId } }),
    }),
  }),
})

builder.mutationField('saveApiCall', (t) =>
  t.field({
    type: SaveApiCallPayload,
    description: 'Create or change an entry of the catalogue. Operators only.',
    authScopes: { scope: 'admin' },
    errors: { types: [InvalidInputError], union: { name: 'SaveApiCallResult' } },
    args: {
      input: t.arg({ type: SaveApiCallInput, required: true, description: 'The entry as it is to be.' }),
    },
    resolve: async (_root, { input }, { catalogue }) => ({ apiCallId: await catalogue.saveApiCall(input) }),
  }),
)
