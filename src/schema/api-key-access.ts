import { accessRule } from '../domain/access.ts'
import { ApiCall } from './api-calls.ts'
import { builder } from './builder.ts'

const ApiKeyAccessMode = builder.enumType('ApiKeyAccessMode', {
  description: 'Whether a key may make every API call or only chosen ones.',
  values: {
    FULL: { description: 'Every API call.' },
    RESTRICTED: { description: 'Exactly the chosen API calls; any other is refused.' },
  },
})

export const ApiKeyAccess = builder.prismaObject('ApiKey', {
  variant: 'ApiKeyAccess',
  description: 'What a key may call.',
  fields: (t) => ({
    mode: t.expose('accessMode', {
      type: ApiKeyAccessMode,
      description: 'Every API call, or only chosen ones.',
    }),
    apiCalls: t.field({
      type: [ApiCall],
      description: 'The chosen API calls; empty if mode is FULL.',
      select: (_args, _context, nestedSelection) => ({
        apiCalls: { select: { apiCall: nestedSelection() }, orderBy: { apiCallId: 'asc' } },
      }),
      complexity: { field: 1, multiplier: 10 },
      resolve: ({ apiCalls }) => apiCalls.map(({ apiCall }) => apiCall),
    }),
  }),
})

export const ApiKeyAccessInput = builder.inputType('ApiKeyAccessInput', {
  description: 'What a key may call.',
  validate: accessRule,
  fields: (t) => ({
    mode: t.field({
      type: ApiKeyAccessMode,
      required: true,
      description: 'Every API call, or only chosen ones.',
    }),
    apiCalls: t.stringList({
      description:
        'Names from the catalogue. Required if mode is RESTRICTED, not allowed if it is FULL. An empty list allows no call.',
    }),
  }),
})
