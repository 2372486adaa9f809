import { z } from 'zod'
import { rateLimitBounds } from '../limits.ts'

const { leastCalls, mostCalls, leastSeconds, mostSeconds } = rateLimitBounds

/** A token bucket: it holds `calls` tokens and is refilled evenly within `perSeconds`. */
export interface RateLimit {
  calls: number
  perSeconds: number
}

/** A rate limit as the API accepts it. */
export const rateLimitRule = z.object({
  calls: z.int().min(leastCalls, `At least ${leastCalls}.`).max(mostCalls, `At most ${mostCalls}.`),
  perSeconds: z
    .int()
    .min(leastSeconds, `At least ${leastSeconds} second.`)
    .max(mostSeconds, `At most ${mostSeconds} seconds, which is a day.`),
})
