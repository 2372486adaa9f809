import { overlapRule } from '../domain/keys.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { keyLimits, statementCost } from '../limits.ts'
import { apiKeyPayload, issuedApiKeyPayload, keyIdDescription } from './api-key-payloads.ts'
import { builder } from './builder.ts'
import { changesKeys } from './change-scopes.ts'
import { idOf } from './global-id.ts'
import { tenantScopeOf } from './tenant-scope.ts'

const longestOverlap = keyLimits.overlapSeconds.toLocaleString('en')

const RegenerateApiKeyInput = builder.inputType('RegenerateApiKeyInput', {
  description: 'The key to give a new secret.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    overlapSeconds: t.int({
      defaultValue: 0,
      validate: overlapRule.nullish(),
      description: `For how many seconds the old secret goes on working beside the new one: from 0, which refuses it at once, to ${longestOverlap}, which is 30 days. Not beyond the expiry of the key.`,
    }),
  }),
})

builder.mutationField('regenerateApiKey', (t) =>
  t.field({
    type: issuedApiKeyPayload(
      'RegenerateApiKeyPayload',
      'The key has a new secret; the old one is refused, at once or after the overlap.',
    ),
    description:
      'Replace the secret of a key. Its id, note, access, limits and count stay. Without an overlap the old secret is refused at once, and so is one that an earlier overlap left working.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'RegenerateApiKeyResult' } },
    args: {
      input: t.arg({
        type: RegenerateApiKeyInput,
        required: true,
        description: 'The key to give a new secret.',
      }),
    },
    resolve: (_root, { input: { id, overlapSeconds } }, context) =>
      context.keys.regenerate(tenantScopeOf(context), idOf('ApiKey', id), overlapSeconds ?? 0),
  }),
)

const RevokePreviousSecretInput = builder.inputType('RevokePreviousSecretInput', {
  description: 'The key whose previous secret is to end.',
  fields: (t) => ({ id: t.id({ required: true, description: keyIdDescription }) }),
})

builder.mutationField('revokePreviousSecret', (t) =>
  t.field({
    type: apiKeyPayload('RevokePreviousSecretPayload', 'Only the current secret of the key works.'),
    description:
      'End at once what a re-generation with an overlap left working. Nothing changes if there is no such secret.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'RevokePreviousSecretResult' } },
    args: {
      input: t.arg({
        type: RevokePreviousSecretInput,
        required: true,
        description: 'The key whose previous secret is to end.',
      }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.revokePreviousSecret(tenantScopeOf(context), apiKeyId)
      return { apiKeyId }
    },
  }),
)
