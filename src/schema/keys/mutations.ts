import { accessOf, accessRule } from '../../domain/access.ts'
import { noteRule } from '../../domain/keys.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../../errors.ts'
import { builder } from '../builder.ts'
import { globalIdOf, idOf } from '../global-id.ts'
import { accountIdWithinReach, reachOf } from '../reach.ts'
import { ApiKeyAccessMode } from './api-key.ts'

const noteDescription =
  'What the customer writes on it: one line of up to 200 characters. Null or blank is no note.'

const ApiKeyAccessInput = builder.inputType('ApiKeyAccessInput', {
  description: 'What a key is to be allowed to call.',
  validate: accessRule,
  fields: (t) => ({
    mode: t.field({
      type: ApiKeyAccessMode,
      required: true,
      description: 'Everything, or chosen API calls.',
    }),
    apiCalls: t.stringList({
      description:
        'Names from the catalogue; required when RESTRICTED, refused when FULL. An empty list allows no call at all.',
    }),
  }),
})

const AddApiKeyInput = builder.inputType('AddApiKeyInput', {
  description: "accountId is for operators; a customer's key is added to its own account.",
  fields: (t) => ({
    note: t.string({ validate: noteRule.nullish(), description: noteDescription }),
    access: t.field({ type: ApiKeyAccessInput, description: 'What it may call; everything when left out.' }),
    accountId: t.id({ description: 'For operators: the id of the account to add it to.' }),
  }),
})

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'Which key gets a new secret.',
  fields: (t) => ({ id: t.id({ required: true, description: 'The id of the key.' }) }),
})

const SetApiKeyNoteInput = builder.inputType('SetApiKeyNoteInput', {
  description: 'Which key, and what to write on it.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The id of the key.' }),
    note: t.string({ validate: noteRule.nullish(), description: noteDescription }),
  }),
})

const ConfigureApiKeyAccessInput = builder.inputType('ConfigureApiKeyAccessInput', {
  description: 'Which key, and what it may call from now on.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The id of the key.' }),
    access: t.field({
      type: ApiKeyAccessInput,
      required: true,
      description: 'What it may call from now on.',
    }),
  }),
})

const RemoveApiKeyInput = builder.inputType('RemoveApiKeyInput', {
  description: 'Which key is removed.',
  fields: (t) => ({ id: t.id({ required: true, description: 'The id of the key.' }) }),
})

/** A payload with the key as it is after the mutation, read again with what the operation selects of it. */
function apiKeyPayload<Record extends { apiKeyId: string }>(name: string, description: string) {
  const payload = builder.objectRef<Record>(name).implement({ description })
  builder.objectField(payload, 'apiKey', (t) =>
    t.prismaField({
      type: 'ApiKey',
      description: 'The key as it is now.',
      resolve: (query, { apiKeyId }, _args, { prisma }) =>
        prisma.apiKey.findUniqueOrThrow({ ...query, where: { id: apiKeyId } }),
    }),
  )
  return payload
}

/** The same with the secret, for the two mutations that make one. */
function issuedApiKeyPayload(name: string, description: string) {
  const payload = apiKeyPayload<{ apiKeyId: string; secret: string }>(name, description)
  builder.objectField(payload, 'secret', (t) =>
    t.exposeString('secret', {
      description:
        'The whole secret, shown here, and nowhere else where the server keeps no recoverable secrets.',
    }),
  )
  return payload
}

builder.mutationField('addApiKey', (t) =>
  t.field({
    type: issuedApiKeyPayload('AddApiKeyPayload', 'The key was added.'),
    description: "Add a key, within the plan's number of keys.",
    authScopes: { scope: 'keys:write' },
    errors: {
      types: [ApiKeyLimitReachedError, InvalidInputError, NotFoundError],
      union: { name: 'AddApiKeyResult' },
    },
    args: { input: t.arg({ type: AddApiKeyInput, required: true, description: 'The key as it is to be.' }) },
    resolve: (_root, { input: { note, access, accountId } }, context) =>
      context.keys.add(
        accountIdWithinReach(context, accountId),
        note || null,
        access ? accessOf(access) : { mode: 'FULL' },
      ),
  }),
)

builder.mutationField('regenerateApiKey', (t) =>
  t.field({
    type: issuedApiKeyPayload('RegenerateApiKeyPayload', 'The key has a new secret; the old one is refused.'),
    description: 'A new secret in place: same id, note, access and count. The old secret stops at once.',
    authScopes: { scope: 'keys:write' },
    errors: { types: [NotFoundError], union: { name: 'RegenerateApiKeyResult' } },
    args: { input: t.arg({ type: RegenerateApiKeyInput, required: true, description: 'Which key.' }) },
    resolve: (_root, { input }, context) =>
      context.keys.regenerate(reachOf(context), idOf('ApiKey', input.id)),
  }),
)

builder.mutationField('setApiKeyNote', (t) =>
  t.field({
    type: apiKeyPayload('SetApiKeyNotePayload', 'The note was set or cleared.'),
    description: 'Add, change or clear the note. A null or blank note clears it.',
    authScopes: { scope: 'keys:write' },
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetApiKeyNoteResult' } },
    args: {
      input: t.arg({ type: SetApiKeyNoteInput, required: true, description: 'Which key, and the note.' }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.setNote(reachOf(context), apiKeyId, input.note ?? null)
      return { apiKeyId }
    },
  }),
)

builder.mutationField('configureApiKeyAccess', (t) =>
  t.field({
    type: apiKeyPayload('ConfigureApiKeyAccessPayload', 'The access was set.'),
    description: 'Set what the key may call. It holds for every call that begins after this has returned.',
    authScopes: { scope: 'keys:write' },
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'ConfigureApiKeyAccessResult' } },
    args: {
      input: t.arg({
        type: ConfigureApiKeyAccessInput,
        required: true,
        description: 'Which key, and its access.',
      }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.configureAccess(reachOf(context), apiKeyId, accessOf(input.access))
      return { apiKeyId }
    },
  }),
)

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
        description: 'The account that it belonged to, as it is now.',
        resolve: (query, { accountId }, _args, { prisma }) =>
          prisma.account.findUniqueOrThrow({ ...query, where: { id: accountId } }),
      }),
    }),
  })

builder.mutationField('removeApiKey', (t) =>
  t.field({
    type: RemoveApiKeyPayload,
    description: "The key stops at once. Its past calls stay in the account's usage.",
    authScopes: { scope: 'keys:write' },
    errors: { types: [NotFoundError], union: { name: 'RemoveApiKeyResult' } },
    args: { input: t.arg({ type: RemoveApiKeyInput, required: true, description: 'Which key.' }) },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      return { apiKeyId, accountId: await context.keys.remove(reachOf(context), apiKeyId) }
    },
  }),
)
