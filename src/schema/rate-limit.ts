import { type RateLimit as Limit, rateLimitRule } from '../domain/rate-limit.ts'
import { rateLimitBounds } from '../limits.ts'
import { builder } from './builder.ts'

const { mostSeconds } = rateLimitBounds

export const RateLimit = builder.objectRef<Limit>('RateLimit').implement({
  description:
    'A token bucket. It holds as many calls as `calls` says and is refilled evenly within `perSeconds`, so that this many calls may be made at once, and this many in every such time on average.',
  fields: (t) => ({
    calls: t.exposeInt('calls', { description: 'How many calls.' }),
    perSeconds: t.exposeInt('perSeconds', { description: 'In how many seconds.' }),
  }),
})

export const RateLimitInput = builder.inputType('RateLimitInput', {
  description: 'A limit on calls within a time, as a token bucket.',
  validate: rateLimitRule,
  fields: (t) => ({
    calls: t.int({ required: true, description: 'How many calls, at least 1.' }),
    perSeconds: t.int({
      required: true,
      description: `In how many seconds, from 1 to ${mostSeconds.toLocaleString('en')}, which is a day.`,
    }),
  }),
})

/** The columns that hold a limit. Both are null where there is none. */
export const rateLimitColumns = { rateCalls: true, ratePerSeconds: true } as const

/** The limit in these columns. */
export function rateLimitOf({
  rateCalls,
  ratePerSeconds,
}: Record<keyof typeof rateLimitColumns, number | null>): Limit | null {
  return rateCalls === null || ratePerSeconds === null
    ? null
    : { calls: rateCalls, perSeconds: ratePerSeconds }
}
