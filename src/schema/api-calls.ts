import { apiCallRule } from '../domain/catalogue.ts'
import { searchRule } from '../domain/text.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { ApiCallKind as apiCallKinds } from '../generated/prisma/client.ts'
import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { RateLimit, RateLimitInput, rateLimitColumns, rateLimitOf } from './rate-limit.ts'

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
    rateLimit: t.field({
      type: RateLimit,
      nullable: true,
      description: 'The rate of each account for this API call; null means no limit.',
      select: rateLimitColumns,
      resolve: rateLimitOf,
    }),
    method: t.exposeString('method', {
      nullable: true,
      description:
        'With path, how a proxy’s request is told to be this API call, for example GET; null if only its name tells.',
    }),
    path: t.exposeString('path', {
      nullable: true,
      description: 'For example /v3/monitors/:id, in which :id stands for any one segment.',
    }),
    alwaysAllowed: t.exposeBoolean('alwaysAllowed', {
      description: 'Whether restricted keys may make it, too, without being given it.',
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
    rateLimit: t.field({
      type: RateLimitInput,
      description:
        'The rate of each account for this API call; null means no limit. If left out, a new API call has none and an existing one keeps its own.',
    }),
    method: t.string({
      description:
        'With path, how a proxy’s request is told to be this API call: an HTTP method in upper case. Null, for both: only by name. If both are left out, a new API call has none and an existing one keeps its own.',
    }),
    path: t.string({
      description:
        'For example /v3/monitors/:id, in which :id stands for any one segment. No other API call may have the same method and path, whatever their parameters are called.',
    }),
    alwaysAllowed: t.boolean({
      description:
        'Whether restricted keys may make it, too: for example a call that says what a key may do. If left out, a new API call is not, and an existing one stays as it is.',
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

const RemoveApiCallInput = builder.inputType('RemoveApiCallInput', {
  description: 'The API call to remove.',
  fields: (t) => ({ name: t.string({ required: true, description: 'The name of the API call.' }) }),
})

const RemoveApiCallPayload = builder.objectRef<{ apiCallId: string }>('RemoveApiCallPayload').implement({
  description: 'The API call was removed.',
  fields: (t) => ({
    removedApiCallId: t.id({
      description: 'The id that the API call had.',
      resolve: ({ apiCallId }) => globalIdOf('ApiCall', apiCallId),
    }),
  }),
})

builder.mutationField('removeApiCall', (t) =>
  t.field({
    type: RemoveApiCallPayload,
    description:
      'Remove an API call that no key is restricted to. InvalidInput names some of the keys that are. Calls to it are refused from then on. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'RemoveApiCallResult' } },
    args: {
      input: t.arg({ type: RemoveApiCallInput, required: true, description: 'The API call to remove.' }),
    },
    resolve: async (_root, { input }, { catalogue }) => ({
      apiCallId: await catalogue.removeApiCall(input.name),
    }),
  }),
)
