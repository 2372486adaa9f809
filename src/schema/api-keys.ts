import { z } from 'zod'
import { accessOf } from '../domain/access.ts'
import { noteRule } from '../domain/keys.ts'
import { hasScope } from '../domain/principal.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../errors.ts'
import { listLimits, statementCost } from '../limits.ts'
import { ApiKeyAccess, ApiKeyAccessInput } from './api-key-access.ts'
import { builder } from './builder.ts'
import { changesKeys } from './change-scopes.ts'
import { globalIdOf, idOf } from './global-id.ts'
import {
  accountIdInScope,
  accountsInScope,
  apiKeysInScope,
  everApiKeysInScope,
  tenantScopeOf,
} from './tenant-scope.ts'
import { ApiKeyUsage, apiKeyUsage, apiKeyUsageHistory } from './usage.ts'

const { historyMonths } = listLimits

export const ApiKey = builder.prismaNode('ApiKey', {
  id: { field: 'id', skipTypeScopes: true, description: 'The id of the key. It survives regeneration.' },
  findUnique: (id, context) => ({ id, ...apiKeysInScope(context) }),
  nullable: true,
  authScopes: { scope: 'keys:read' },
  description: 'A key to the SaaS’s API.',
  fields: (t) => ({
    account: t.relation('account', { description: 'The account that the key belongs to.' }),
    note: t.exposeString('note', { nullable: true, description: 'The customer’s note on the key.' }),
    start: t.exposeString('start', {
      description: 'The first characters of the secret: enough to recognise it, not enough to use it.',
    }),
    secret: t.string({
      nullable: true,
      description:
        'The whole secret, if the server keeps secrets recoverable and the viewer has the scope keys:reveal; else null.',
      select: { id: true, sealedSecret: true },
      resolve: ({ id, sealedSecret }, _args, { principal, vault }) =>
        sealedSecret !== null && principal && hasScope(principal, 'keys:reveal')
          ? vault.open(sealedSecret, id)
          : null,
    }),
    access: t.variant(ApiKeyAccess, { description: 'What the key may call.' }),
    usage: t.field({
      type: ApiKeyUsage,
      description: 'Calls made with this key in one month.',
      args: { month: t.arg({ type: 'Month', description: 'The month; the current one if left out.' }) },
      complexity: 2,
      select: { id: true },
      resolve: ({ id }, { month }, context) => apiKeyUsage(id, month, context),
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
      select: { id: true },
      resolve: ({ id }, { months }, context) => apiKeyUsageHistory(id, months, context),
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

/** A payload with the changed key, read again with what the operation selects of it. */
function apiKeyPayload<Payload extends { apiKeyId: string }>(name: string, description: string) {
  const payload = builder.objectRef<Payload>(name).implement({ description })
  builder.objectField(payload, 'apiKey', (t) =>
    t.prismaField({
      type: 'ApiKey',
      description: 'The key after the change.',
      complexity: statementCost,
      // It may have been removed since by another request.
      resolve: (query, { apiKeyId }, _args, context) =>
        context.prisma.apiKey.findUniqueOrThrow({
          ...query,
          where: { id: apiKeyId, ...everApiKeysInScope(context) },
        }),
    }),
  )
  return payload
}

/** The same with the key's new secret. */
function issuedApiKeyPayload(name: string, description: string) {
  const payload = apiKeyPayload<{ apiKeyId: string; secret: string }>(name, description)
  builder.objectField(payload, 'secret', (t) =>
    t.exposeString('secret', {
      description: 'The whole secret. Unless the server keeps secrets recoverable, it cannot be shown again.',
    }),
  )
  return payload
}

const keyIdDescription = 'The id of the key.'
const noteDescription = 'One line of up to 200 characters. Null or blank means no note.'

const AddApiKeyInput = builder.inputType('AddApiKeyInput', {
  description: 'The key to add.',
  fields: (t) => ({
    note: t.string({ validate: noteRule.nullish(), description: noteDescription }),
    access: t.field({
      type: ApiKeyAccessInput,
      description: 'What the key may call; every API call if left out.',
    }),
    accountId: t.id({
      description:
        'For operators: the account to add the key to. Customers add to their own and leave it out.',
    }),
  }),
})

builder.mutationField('addApiKey', (t) =>
  t.field({
    type: issuedApiKeyPayload('AddApiKeyPayload', 'The key was added.'),
    description:
      'Add a key, if the plan allows one more. How many keys a customer may add within an hour is limited: beyond it, InvalidInput says when to try again.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: {
      types: [ApiKeyLimitReachedError, InvalidInputError, NotFoundError],
      union: { name: 'AddApiKeyResult' },
    },
    args: { input: t.arg({ type: AddApiKeyInput, required: true, description: 'The key to add.' }) },
    resolve: (_root, { input: { note, access, accountId } }, context) =>
      context.keys.add(
        accountIdInScope(context, accountId),
        note || null,
        access ? accessOf(access) : { mode: 'FULL' },
        tenantScopeOf(context) === 'every account' ? 'operator' : 'customer',
      ),
  }),
)

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'The key to give a new secret.',
  fields: (t) => ({ id: t.id({ required: true, description: keyIdDescription }) }),
})

builder.mutationField('regenerateApiKey', (t) =>
  t.field({
    type: issuedApiKeyPayload('RegenerateApiKeyPayload', 'The key has a new secret; the old one is refused.'),
    description:
      'Replace the secret of a key. Its id, note, access and count stay. The old secret is refused at once.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [NotFoundError], union: { name: 'RegenerateApiKeyResult' } },
    args: {
      input: t.arg({
        type: RegenerateApiKeyInput,
        required: true,
        description: 'The key to give a new secret.',
      }),
    },
    resolve: (_root, { input }, context) =>
      context.keys.regenerate(tenantScopeOf(context), idOf('ApiKey', input.id)),
  }),
)

const SetApiKeyNoteInput = builder.inputType('SetApiKeyNoteInput', {
  description: 'The key and its note.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    note: t.string({ validate: noteRule.nullish(), description: noteDescription }),
  }),
})

builder.mutationField('setApiKeyNote', (t) =>
  t.field({
    type: apiKeyPayload('SetApiKeyNotePayload', 'The note was set or cleared.'),
    description: 'Add, change or clear the note on a key. A null or blank note clears it.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetApiKeyNoteResult' } },
    args: {
      input: t.arg({ type: SetApiKeyNoteInput, required: true, description: 'The key and its note.' }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.setNote(tenantScopeOf(context), apiKeyId, input.note ?? null)
      return { apiKeyId }
    },
  }),
)

const ConfigureApiKeyAccessInput = builder.inputType('ConfigureApiKeyAccessInput', {
  description: 'The key and its new access.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    access: t.field({ type: ApiKeyAccessInput, required: true, description: 'What the key may call.' }),
  }),
})

builder.mutationField('configureApiKeyAccess', (t) =>
  t.field({
    type: apiKeyPayload('ConfigureApiKeyAccessPayload', 'The access was set.'),
    description: 'Set what a key may call. Applies to every call that begins after this mutation returns.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'ConfigureApiKeyAccessResult' } },
    args: {
      input: t.arg({
        type: ConfigureApiKeyAccessInput,
        required: true,
        description: 'The key and its new access.',
      }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.configureAccess(tenantScopeOf(context), apiKeyId, accessOf(input.access))
      return { apiKeyId }
    },
  }),
)

const RemoveApiKeyInput = builder.inputType('RemoveApiKeyInput', {
  description: 'The key to remove.',
  fields: (t) => ({ id: t.id({ required: true, description: keyIdDescription }) }),
})

const RemoveApiKeyPayload = builder
  .objectRef<{ apiKeyId: string; accountId: string }>('RemoveApiKeyPayload')
  .implement({
    description: 'The key was removed.',
    fields: (t) => ({
      removedApiKeyId: t.id({
        description: 'The id that the key had.',
        resolve: ({ apiKeyId }) => globalIdOf('ApiKey', apiKeyId),
      }),
      account: t.prismaField({
        type: 'Account',
        description: 'The account that the key belonged to, after the change.',
        complexity: statementCost,
        resolve: (query, { accountId }, _args, context) =>
          context.prisma.account.findUniqueOrThrow({
            ...query,
            where: { id: accountId, AND: accountsInScope(context) },
          }),
      }),
    }),
  })

builder.mutationField('removeApiKey', (t) =>
  t.field({
    type: RemoveApiKeyPayload,
    description: "Remove a key. It is refused at once; its past calls stay in the account's usage.",
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [NotFoundError], union: { name: 'RemoveApiKeyResult' } },
    args: { input: t.arg({ type: RemoveApiKeyInput, required: true, description: 'The key to remove.' }) },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      return { apiKeyId, accountId: await context.keys.remove(tenantScopeOf(context), apiKeyId) }
    },
  }),
)
