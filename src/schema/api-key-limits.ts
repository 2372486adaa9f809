import { expiryRule, monthlyCallLimitRule } from '../domain/keys.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { statementCost } from '../limits.ts'
import { apiKeyPayload, keyIdDescription } from './api-key-payloads.ts'
import { builder } from './builder.ts'
import { changesKeys } from './change-scopes.ts'
import { idOf } from './global-id.ts'
import { RateLimitInput } from './rate-limit.ts'
import { tenantScopeOf } from './tenant-scope.ts'

const SetApiKeyEnabledInput = builder.inputType('SetApiKeyEnabledInput', {
  description: 'The key, and whether it is on.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    enabled: t.boolean({ required: true, description: 'False to refuse every call, true to end that.' }),
  }),
})

builder.mutationField('setApiKeyEnabled', (t) =>
  t.field({
    type: apiKeyPayload('SetApiKeyEnabledPayload', 'The key was turned on or off.'),
    description:
      'Turn a key off or on again. While it is off, every call is refused; its secret, access and counts stay.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetApiKeyEnabledResult' } },
    args: {
      input: t.arg({
        type: SetApiKeyEnabledInput,
        required: true,
        description: 'The key, and whether it is on.',
      }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.setEnabled(tenantScopeOf(context), apiKeyId, input.enabled)
      return { apiKeyId }
    },
  }),
)

const SetApiKeyExpiryInput = builder.inputType('SetApiKeyExpiryInput', {
  description: 'The key and when it expires.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    expiresAt: t.field({
      type: 'DateTime',
      validate: expiryRule.nullish(),
      description: 'From then on every call is refused. It must be in the future; null or left out is never.',
    }),
  }),
})

builder.mutationField('setApiKeyExpiry', (t) =>
  t.field({
    type: apiKeyPayload('SetApiKeyExpiryPayload', 'The expiry was set or lifted.'),
    description:
      'Set when a key expires, or that it never does. An expired key works again when it is given a later expiry.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetApiKeyExpiryResult' } },
    args: {
      input: t.arg({
        type: SetApiKeyExpiryInput,
        required: true,
        description: 'The key and when it expires.',
      }),
    },
    resolve: async (_root, { input }, context) => {
      const apiKeyId = idOf('ApiKey', input.id)
      await context.keys.setExpiry(tenantScopeOf(context), apiKeyId, input.expiresAt ?? null)
      return { apiKeyId }
    },
  }),
)

const SetApiKeyLimitsInput = builder.inputType('SetApiKeyLimitsInput', {
  description: 'The key and its own limits. A limit that is left out stays as it is.',
  fields: (t) => ({
    id: t.id({ required: true, description: keyIdDescription }),
    monthlyCallLimit: t.field({
      type: 'SafeInt',
      validate: monthlyCallLimitRule.nullish(),
      description:
        'The most calls of this key in a calendar month, at least 1; null lifts the limit. Left out, it stays as it is.',
    }),
    rateLimit: t.field({
      type: RateLimitInput,
      description: 'The key’s own rate; null lifts the limit. Left out, it stays as it is.',
    }),
  }),
})

builder.mutationField('setApiKeyLimits', (t) =>
  t.field({
    type: apiKeyPayload('SetApiKeyLimitsPayload', 'The limits were set.'),
    description:
      'Set or lift a key’s own limits on its calls. The limits of the plan and of the API call hold besides them.',
    authScopes: changesKeys,
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetApiKeyLimitsResult' } },
    args: {
      input: t.arg({
        type: SetApiKeyLimitsInput,
        required: true,
        description: 'The key and its own limits.',
      }),
    },
    resolve: async (_root, { input: { id, monthlyCallLimit, rateLimit } }, context) => {
      const apiKeyId = idOf('ApiKey', id)
      await context.keys.setLimits(tenantScopeOf(context), apiKeyId, {
        ...(monthlyCallLimit === undefined ? {} : { monthlyCallLimit }),
        ...(rateLimit === undefined ? {} : { rateLimit }),
      })
      return { apiKeyId }
    },
  }),
)
