import { accessRule } from '../domain/access.ts'
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
    apiCalls: t.prismaField({
      type: ['ApiCall'],
      description: 'The chosen API calls; empty if mode is FULL.',
      select: { id: true, accessMode: true },
      complexity: { field: 1, multiplier: 10 },
      // Not a nested selection: Prisma would join as many rows in one go as all keys of a page have API calls.
      resolve: async (query, { id, accessMode }, _args, { loaders, prisma }, info) => {
        if (accessMode === 'FULL') return []
        const apiCalls = loaders.rows(info.fieldNodes, (ids) =>
          prisma.apiCall.findMany({ ...query, where: { id: { in: ids } } }),
        )
        const chosen = await Promise.all(
          (await loaders.apiCallIds.load(id)).map((each) => apiCalls.load(each)),
        )
        return chosen.filter((apiCall) => apiCall !== null)
      },
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
