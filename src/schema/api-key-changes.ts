import { accessOf, restrictionsOf } from '../domain/access.ts'
import { expiryRule, monthlyCallLimitRule, noteRule } from '../domain/keys.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../errors.ts'
import { statementCost } from '../limits.ts'
import { ApiKeyAccessInput } from './api-key-access.ts'
import { apiKeyPayload, issuedApiKeyPayload, keyIdDescription } from './api-key-payloads.ts'
import { builder } from './builder.ts'
import { changesKeys } from './change-scopes.ts'
import { globalIdOf, idOf } from './global-id.ts'
import { RateLimitInput } from './rate-limit.ts'
import { accountIdInScope, accountsInScope, tenantScopeOf } from './tenant-scope.ts'

const noteDescription = 'One line of up to 200 characters. Null or blank means no note.'

const AddApiKeyInput = builder.inputType('AddApiKeyInput', {
  description: 'The key to add.',
  fields: (t) => ({
    note: t.string({ validate: noteRule.nullish(), description: noteDescription }),
    access: t.field({
      type: ApiKeyAccessInput,
      description: 'What the key may call; every API call if left out.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      validate: expiryRule.nullish(),
      description: 'From then on every call is refused; never if null or left out.',
    }),
    monthlyCallLimit: t.field({
      type: 'SafeInt',
      validate: monthlyCallLimitRule.nullish(),
      description:
        'The most calls of this key in a calendar month, at least 1; no limit of its own if null or left out.',
    }),
    rateLimit: t.field({
      type: RateLimitInput,
      description: 'The key’s own rate; none if null or left out.',
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
    resolve: (_root, { input }, context) => {
      const { note, access, accountId, expiresAt = null, monthlyCallLimit = null, rateLimit = null } = input
      return context.keys.add(
        accountIdInScope(context, accountId),
        note || null,
        access ? accessOf(access) : { mode: 'FULL' },
        tenantScopeOf(context) === 'every account' ? 'operator' : 'customer',
        { ...(access ? restrictionsOf(access) : {}), expiresAt, monthlyCallLimit, rateLimit },
      )
    },
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
    description:
      'Set what a key may call, what it may touch and where it may be used from. Applies to every call that begins after this mutation returns.',
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
      const { access } = input
      await context.keys.configureAccess(
        tenantScopeOf(context),
        apiKeyId,
        accessOf(access),
        restrictionsOf(access),
      )
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
