import { z } from 'zod'
import { hasScope } from '../domain/principal.ts'
import { listLimits, statementCost } from '../limits.ts'
import { ApiKeyAccess } from './api-key-access.ts'
import { builder } from './builder.ts'
import { idOf } from './global-id.ts'
import { RateLimit, rateLimitColumns, rateLimitOf } from './rate-limit.ts'
import { apiKeysInScope, grantedBySecret, isInScope, scopeToRead } from './tenant-scope.ts'
import { ApiKeyUsage, apiKeyUsage, apiKeyUsageHistory } from './usage.ts'

const { historyMonths } = listLimits

export const ApiKey = builder.prismaNode('ApiKey', {
  id: { field: 'id', skipTypeScopes: true, description: 'The id of the key. It survives regeneration.' },
  findUnique: (id, context) => ({ id, ...apiKeysInScope(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read', $granted: grantedBySecret },
  description: 'A key to the SaaS’s API.',
  fields: (t) => ({
    account: t.relation('account', {
      description: 'The account that the key belongs to.',
      authScopes: ({ accountId }, _args, context) => ({ scope: scopeToRead(context, accountId) }),
    }),
    note: t.exposeString('note', { nullable: true, description: 'The customer’s note on the key.' }),
    start: t.exposeString('start', {
      description: 'The first characters of the secret: enough to recognise it, not enough to use it.',
    }),
    secret: t.string({
      nullable: true,
      description:
        'The whole secret, if the server keeps secrets recoverable and the viewer has the scope keys:reveal; else null.',
      select: { id: true, accountId: true, sealedSecret: true },
      // A gateway that describes a secret gets neither that one nor, for a previous one, the current one.
      resolve: ({ id, accountId, sealedSecret }, _args, context) =>
        sealedSecret !== null &&
        context.principal &&
        hasScope(context.principal, 'keys:reveal') &&
        isInScope(context, accountId)
          ? context.vault.open(sealedSecret, id)
          : null,
    }),
    access: t.variant(ApiKeyAccess, {
      description: 'What the key may call and touch, and where it may be used from.',
    }),
    enabled: t.exposeBoolean('enabled', {
      description: 'Whether the key is on. While it is off, every call is refused (KEY_DISABLED).',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'From then on every call is refused (KEY_EXPIRED); null is never. An expired key stays on the list, and takes a place in the plan, until it is removed or given a later expiry.',
    }),
    previousSecretExpiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Until when the secret before the last re-generation still works; null if it does not work any more.',
      select: { previousSecretExpiresAt: true },
      resolve: ({ previousSecretExpiresAt: end }, _args, { clock }) =>
        end !== null && end > clock.now() ? end : null,
    }),
    monthlyCallLimit: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'The most calls of this key in a calendar month, within the quota of the account; null means no limit of its own.',
      select: { monthlyCallLimit: true },
      resolve: ({ monthlyCallLimit }) => (monthlyCallLimit === null ? null : Number(monthlyCallLimit)),
    }),
    rateLimit: t.field({
      type: RateLimit,
      nullable: true,
      description: 'The key’s own rate, besides those of the plan and of the API call; null means none.',
      select: rateLimitColumns,
      resolve: rateLimitOf,
    }),
    usage: t.field({
      type: ApiKeyUsage,
      description: 'Calls made with this key in one month.',
      args: { month: t.arg({ type: 'Month', description: 'The month; the current one if left out.' }) },
      complexity: 2,
      select: { id: true, monthlyCallLimit: true },
      resolve: (apiKey, { month }, context) => apiKeyUsage(apiKey, month, context),
    }),
    usageHistory: t.field({
      type: [ApiKeyUsage],
      description: 'Calls made with this key month by month, newest first, starting with the current month.',
      complexity: ({ months }) => ({ field: 2, multiplier: months }),
      args: {
        months: t.arg.int({
          required: true,
          defaultValue: 12,
          validate: z.int().min(1, 'At least 1.').max(historyMonths, `At most ${historyMonths}.`),
          description: `How many months, from 1 to ${historyMonths}.`,
        }),
      },
      select: { id: true, monthlyCallLimit: true },
      resolve: (apiKey, { months }, context) => apiKeyUsageHistory(apiKey, months, context),
    }),
    lastCallAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the last call with this key was admitted; null if none was.',
      complexity: 2,
      select: { id: true },
      resolve: ({ id }, _args, { loaders }) => loaders.lastCallAt.load(id),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the key was added.' }),
    regeneratedAt: t.expose('regeneratedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the key last got a new secret; null if it has its first one.',
    }),
  }),
})

builder.queryField('apiKey', (t) =>
  t.prismaField({
    type: 'ApiKey',
    nullable: true,
    description: "One key of the viewer's account; null if it is unknown, removed or another account's.",
    complexity: statementCost,
    authScopes: { scope: 'keys:read' },
    args: { id: t.arg.id({ required: true, description: 'The id of the key.' }) },
    resolve: (query, _root, { id }, context) =>
      context.prisma.apiKey.findUnique({
        ...query,
        where: { id: idOf('ApiKey', id), ...apiKeysInScope(context) },
      }),
  }),
)
