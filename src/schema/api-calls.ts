import { apiCallRule } from '../domain/catalogue.ts'
import { searchRule } from '../domain/text.ts'
import { InvalidInputError } from '../errors.ts'
import { ApiCallKind as apiCallKinds } from '../generated/prisma/client.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'

const ApiCallKind = builder.enumType('ApiCallKind', {
  description: 'Whether an API call reads or writes.',
  values: {
    [apiCallKinds.READ]: { description: 'The API call changes nothing.' },
    [apiCallKinds.WRITE]: { description: 'The API call changes something.' },
  },
})

export const ApiCall = builder.prismaNode('ApiCall', {
  id: { field: 'id', description: 'The id of the API call.' },
  nullable: true,
  description: 'An API call in the catalogue. Keys can be restricted to some of them.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'The stable name that gateways send, for example v3.uptime-monitors.list.',
    }),
    title: t.exposeString('title', { description: 'The display name.' }),
    category: t.exposeString('category', { description: 'The group that it is listed in.' }),
    kind: t.expose('kind', {
      type: ApiCallKind,
      description: 'Whether the API call reads or writes.',
    }),
  }),
})

builder.queryField('apiCalls', (t) =>
  t.prismaField({
    type: ['ApiCall'],
    description: 'The catalogue of API calls.',
    authScopes: { scope: 'keys:read' },
    complexity: { field: statementCost, multiplier: 50 },
    args: {
      category: t.arg.string({
        validate: searchRule.nullish(),
        description: 'Only API calls in this category.',
      }),
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
  description: 'The API call to create or change.',
  validate: apiCallRule,
  fields: (t) => ({
    name: t.string({
      required: true,
      description:
        'Up to 100 letters, digits and . _ : / -, starting with a letter or a digit. An unknown name creates an API call.',
    }),
    title: t.string({ required: true, description: 'The display name, up to 100 characters.' }),
    category: t.string({ required: true, description: 'The group to list it in, up to 100 characters.' }),
    kind: t.field({
      type: ApiCallKind,
      required: true,
      description: 'Whether the API call reads or writes.',
    }),
  }),
})

const SaveApiCallPayload = builder.objectRef<{ apiCallId: string }>('SaveApiCallPayload').implement({
  description: 'The API call was saved.',
  fields: (t) => ({
    apiCall: t.prismaField({
      type: 'ApiCall',
      description: 'The API call after the change.',
      complexity: statementCost,
      resolve: (query, { apiCallId }, _args, { prisma }) =>
        prisma.apiCall.findUniqueOrThrow({ ...query, where: { id: apiCallId } }),
    }),
  }),
})

builder.mutationField('saveApiCall', (t) =>
  t.field({
    type: SaveApiCallPayload,
    description: 'Create or change an API call in the catalogue. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError], union: { name: 'SaveApiCallResult' } },
    args: {
      input: t.arg({
        type: SaveApiCallInput,
        required: true,
        description: 'The API call to create or change.',
      }),
    },
    resolve: async (_root, { input }, { catalogue }) => ({ apiCallId: await catalogue.saveApiCall(input) }),
  }),
)
