import { z } from 'zod'

/**
 * What a key may call: everything, or exactly the API calls named (none at all for an empty list).
 * A union, so that a list beside FULL cannot be expressed.
 */
export type Access = { mode: 'FULL' } | { mode: 'RESTRICTED'; apiCalls: readonly string[] }

/** More names than any catalogue has are a mistake, and each is looked up. */
const mostNames = 1_000

/** Access as the API takes it: names are required when RESTRICTED and refused when FULL; doubles are dropped. */
export const accessRule = z
  .object({
    mode: z.enum(['FULL', 'RESTRICTED']),
    apiCalls: z.array(z.string()).max(mostNames, `At most ${mostNames} API calls.`).nullish(),
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

/** Access out of input that has passed `accessRule`. */
export function accessOf(input: {
  mode: 'FULL' | 'RESTRICTED'
  apiCalls?: readonly string[] | null | undefined
}): Access {
  return input.mode === 'FULL'
    ? { mode: 'FULL' }
    : { mode: 'RESTRICTED', apiCalls: [...new Set(input.apiCalls ?? [])] }
}
