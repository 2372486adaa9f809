import { accessRule } from '../domain/access.ts'
import type { ResourcesOfType } from '../domain/metering/decision.ts'
import { keyLimits, listLimits } from '../limits.ts'
import { ApiKeyResources } from './api-key-resources.ts'
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
  description: 'What a key may call and touch, and where it may be used from.',
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
    resources: t.field({
      type: [ApiKeyResources],
      nullable: true,
      description:
        'The only resources of the SaaS that the key may touch; null is all of them. A type that is not listed may not be touched.',
      complexity: { field: 1, multiplier: 5 },
      select: {
        restrictsResources: true,
        resources: { orderBy: [{ type: 'asc' }, { resourceId: 'asc' }] },
      },
      resolve: ({ restrictsResources, resources }) => (restrictsResources ? byType(resources) : null),
    }),
    allowedNetworks: t.stringList({
      description: 'The only networks (CIDR, v4 or v6) that the key may be used from; empty is anywhere.',
      select: { allowedNetworks: true },
      resolve: ({ allowedNetworks }) => allowedNetworks.map(withPrefix),
    }),
  }),
})

/** The resources in rows that are ordered by type. An empty id stands for all of the type. */
function byType(rows: readonly { type: string; resourceId: string }[]): ResourcesOfType[] {
  const types: ResourcesOfType[] = []
  for (const { type, resourceId } of rows) {
    const last = types.at(-1)
    if (resourceId === '') types.push({ type, ids: null })
    else if (last?.type === type) last.ids?.push(resourceId)
    else types.push({ type, ids: [resourceId] })
  }
  return types
}

/** PostgreSQL leaves out the prefix of a single address. */
function withPrefix(network: string): string {
  if (network.includes('/')) return network
  return `${network}/${network.includes(':') ? 128 : 32}`
}

const { grantedResources, allowedNetworks: mostNetworks } = listLimits
const { resourceTypeLength, resourceIdLength } = keyLimits

const ApiKeyResourcesInput = builder.inputType('ApiKeyResourcesInput', {
  description: 'Resources of the SaaS of one type.',
  fields: (t) => ({
    type: t.string({
      required: true,
      description: `The type, for instance uptime-monitor: from 1 to ${resourceTypeLength} characters.`,
    }),
    ids: t.stringList({
      description: `The ids of some, each from 1 to ${resourceIdLength} characters; all of the type if null or left out.`,
    }),
  }),
})

export const ApiKeyAccessInput = builder.inputType('ApiKeyAccessInput', {
  description: 'What a key may call and touch, and where it may be used from.',
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
    resources: t.field({
      type: [ApiKeyResourcesInput],
      description: `The only resources that the key may touch, up to ${grantedResources.toLocaleString('en')} in total. If null or left out, they stay as they are; an empty list lifts the restriction.`,
    }),
    allResources: t.boolean({
      description: 'True lifts the restriction to some resources, too. Not allowed together with resources.',
    }),
    allowedNetworks: t.stringList({
      description: `The only networks that the key may be used from, up to ${mostNetworks}: addresses of IPv4 or IPv6, with a prefix if it is more than one, such as 192.0.2.0/24. If null or left out, they stay as they are; an empty list lifts the restriction.`,
    }),
  }),
})
