import { z } from 'zod'
import { hasScope } from '../../domain/principal.ts'
import { builder } from '../builder.ts'
import { idOf } from '../global-id.ts'
import { reachableApiKeys } from '../reach.ts'
import { ApiKeyUsage, apiKeyUsage, apiKeyUsageHistory } from '../usage.ts'

/** Months, for usageHistory. */
const longestHistory = 120

export const ApiKeyAccessMode = builder.enumType('ApiKeyAccessMode', {
  description: 'Whether a key may make every API call or only chosen ones.',
  values: {
    FULL: { description: 'Every API call.' },
    RESTRICTED: { description: 'Exactly the API calls chosen; any other is refused.' },
  },
})

const ApiKeyAccess = builder.prismaObject('ApiKey', {
  variant: 'ApiKeyAccess',
  description: 'What a key may call.',
  fields: (t) => ({
    mode: t.expose('accessMode', { type: ApiKeyAccessMode, description: 'Everything, or chosen API calls.' }),
    apiCalls: t.prismaField({
      type: ['ApiCall'],
      description: 'Empty when mode is FULL.',
      select: { id: true },
      complexity: { field: 1, multiplier: 10 },
      resolve: (query, { id }, _args, { prisma }) =>
        prisma.apiCall.findMany({
          ...query,
          where: { apiKeys: { some: { apiKeyId: id } } },
          orderBy: { id: 'asc' },
        }),
    }),
  }),
})

export const ApiKey = builder.prismaNode('ApiKey', {
  id: { field: 'id', description: 'The id of the key; a re-generated key keeps it.' },
  findUnique: (id, context) => ({ id, AND: reachableApiKeys(context) }),
  nullable: true,
  description: 'A key to the SaaS’s API.',
  fields: (t) => ({
    account: t.relation('account', { description: 'The account that it belongs to.' }),
    note: t.exposeString('note', { nullable: true, description: 'What the customer wrote on it.' }),
    start: t.exposeString('start', {
      description: 'The first characters of the secret, enough to recognise it and useless to anyone else.',
    }),
    secret: t.string({
      nullable: true,
      description:
        'The whole secret, for a viewer with keys:reveal where the server keeps secrets recoverable; else null.',
      select: { id: true, sealedSecret: true },
      resolve: ({ id, sealedSecret }, _args, { principal, vault }) =>
        sealedSecret !== null && principal && hasScope(principal, 'keys:reveal')
          ? vault.open(sealedSecret, id)
          : null,
    }),
    access: t.variant(ApiKeyAccess, { description: 'What it may call.' }),
    usage: t.field({
      type: ApiKeyUsage,
      description: 'Calls made with this key in one month; this month when month is left out.',
      args: { month: t.arg({ type: 'Month', description: 'The month; this month when left out.' }) },
      select: { id: true },
      resolve: ({ id }, { month }, context) => apiKeyUsage(id, month, context),
    }),
    usageHistory: t.field({
      type: [ApiKeyUsage],
      description: 'One entry a month, newest first, this month included.',
      complexity: ({ months }) => ({ field: 1, multiplier: months }),
      args: {
        months: t.arg.int({
          required: true,
          defaultValue: 12,
          validate: z.int().min(1, 'At least 1.').max(longestHistory, `At most ${longestHistory}.`),
          description: `How many months, from 1 to ${longestHistory}.`,
        }),
      },
      select: { id: true },
      resolve: ({ id }, { months }, context) => apiKeyUsageHistory(id, months, context),
    }),
    lastCallAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it last made a call that was admitted.',
      select: { usage: { select: { lastCallAt: true }, orderBy: { month: 'desc' }, take: 1 } },
      resolve: ({ usage }) => usage[0]?.lastCallAt ?? null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was added.' }),
    regeneratedAt: t.expose('regeneratedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it last got a new secret; null when it has its first.',
    }),
  }),
})

builder.queryField('apiKey', (t) =>
  t.prismaField({
    type: 'ApiKey',
    nullable: true,
    description: "One key of the viewer's account; null for a removed, foreign or unknown id alike.",
    authScopes: { scope: 'keys:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the key.' }) },
    resolve: (query, _root, { id }, context) =>
      context.prisma.apiKey.findUnique({
        ...query,
        where: { id: idOf('ApiKey', id), AND: reachableApiKeys(context) },
      }),
  }),
)
