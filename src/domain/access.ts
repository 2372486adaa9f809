import { z } from 'zod'
import { listLimits } from '../limits.ts'

/**
 * What a key may call: every API call, or exactly those in a list, which may be empty. A union, so that FULL with a
 * list cannot be expressed.
 */
export type Access = { mode: 'FULL' } | { mode: 'RESTRICTED'; apiCalls: readonly string[] }

const { grantedApiCalls } = listLimits

/** Access as the API accepts it: names are required if RESTRICTED and not allowed if FULL. */
export const accessRule = z
  .object({
    mode: z.enum(['FULL', 'RESTRICTED']),
    apiCalls: z.array(z.string()).max(grantedApiCalls, `At most ${grantedApiCalls} API calls.`).nullish(),
  })
  .superRefine(({ mode, apiCalls }, context) => {
    if (mode === 'FULL' && apiCalls)
      context.addIssue({
        code: 'custom',
        path: ['apiCalls'],
        message: 'Leave apiCalls out when mode is FULL.',
      })
    if (mode === 'RESTRICTED' && !apiCalls)
      context.addIssue({
        code: 'custom',
        path: ['apiCalls'],
        message: 'Name the API calls when mode is RESTRICTED.',
      })
  })

/** Converts input that passed `accessRule`. Duplicates are dropped. */
export function accessOf(input: {
  mode: 'FULL' | 'RESTRICTED'
  apiCalls?: readonly string[] | null | undefined
}): Access {
  return input.mode === 'FULL'
    ? { mode: 'FULL' }
    : { mode: 'RESTRICTED', apiCalls: [...new Set(input.apiCalls ?? [])] }
}
