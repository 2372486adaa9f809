import { z } from 'zod'
import { keyLimits, listLimits } from '../limits.ts'
import type { ResourcesOfType } from './metering/decision.ts'
import { networkRule } from './networks.ts'
import { identifier } from './text.ts'

/**
 * What a key may call: every API call, or exactly those in a list, which may be empty. A union, so that FULL with a
 * list cannot be expressed.
 */
export type Access = { mode: 'FULL' } | { mode: 'RESTRICTED'; apiCalls: readonly string[] }

/** Limits on what a key may touch and where it may be used from. What is left out of a change stays as it is. */
export interface AccessRestrictions {
  /** The only resources that it may touch, each type once. An empty list lifts the restriction. */
  resources?: readonly ResourcesOfType[]
  /** The only networks that it may be used from. An empty list lifts the restriction. */
  allowedNetworks?: readonly string[]
}

const { grantedApiCalls, grantedResources, allowedNetworks } = listLimits
const { resourceTypeLength, resourceIdLength } = keyLimits

const resourcesRule = z
  .array(
    z.object({
      type: identifier(resourceTypeLength),
      ids: z
        .array(identifier(resourceIdLength))
        .min(1, 'Name at least one id, or leave ids out for all of the type.')
        .nullish(),
    }),
  )
  .refine(
    (list) => list.reduce((sum, { ids }) => sum + (ids?.length ?? 1), 0) <= grantedResources,
    `At most ${grantedResources} resources of all types together.`,
  )

/**
 * Access as the API accepts it: names are required if RESTRICTED and not allowed if FULL. Null or left out, resources
 * and networks stay as they are.
 */
export const accessRule = z
  .object({
    mode: z.enum(['FULL', 'RESTRICTED']),
    apiCalls: z.array(z.string()).max(grantedApiCalls, `At most ${grantedApiCalls} API calls.`).nullish(),
    resources: resourcesRule.nullish(),
    allResources: z.boolean().nullish(),
    allowedNetworks: z
      .array(networkRule)
      .max(allowedNetworks, `At most ${allowedNetworks} networks.`)
      .nullish(),
  })
  .superRefine(({ mode, apiCalls, resources, allResources }, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message })
    if (mode === 'FULL' && apiCalls) refuse('apiCalls', 'Leave apiCalls out when mode is FULL.')
    if (mode === 'RESTRICTED' && !apiCalls) refuse('apiCalls', 'Name the API calls when mode is RESTRICTED.')
    if (allResources && resources?.length)
      refuse('allResources', 'Name resources or allow all of them, not both.')
  })

/** Input that passed `accessRule`. */
interface AccessInput {
  mode: 'FULL' | 'RESTRICTED'
  apiCalls?: readonly string[] | null | undefined
  resources?: readonly { type: string; ids?: readonly string[] | null | undefined }[] | null | undefined
  allResources?: boolean | null | undefined
  allowedNetworks?: readonly string[] | null | undefined
}

/** The API calls in input that passed `accessRule`. Duplicates are dropped. */
export function accessOf({ mode, apiCalls }: AccessInput): Access {
  return mode === 'FULL' ? { mode } : { mode, apiCalls: [...new Set(apiCalls ?? [])] }
}

/** The restrictions in input that passed `accessRule`. */
export function restrictionsOf({
  resources,
  allResources,
  allowedNetworks: networks,
}: AccessInput): AccessRestrictions {
  return {
    ...(allResources || resources ? { resources: allResources ? [] : union(resources ?? []) } : {}),
    ...(networks ? { allowedNetworks: networks } : {}),
  }
}

/** The same resources with each type once. All of a type includes each of its ids. */
function union(list: NonNullable<AccessInput['resources']>): ResourcesOfType[] {
  const types = new Map<string, Set<string> | null>()
  for (const { type, ids } of list) {
    const known = types.get(type)
    types.set(type, known === null || !ids ? null : new Set([...(known ?? []), ...ids]))
  }
  return [...types].map(([type, ids]) => ({ type, ids: ids && [...ids] }))
}
