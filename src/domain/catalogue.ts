import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { rateLimitRule } from './rate-limit.ts'
import { lineOfText } from './text.ts'

const largestInt = 2_147_483_647

/** A plan, identified by its slug. */
export const planRule = z.object({
  slug: z
    .string()
    .max(64, 'At most 64 characters.')
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'Lower-case letters and digits, in words joined by hyphens.'),
  name: lineOfText(1, 100),
  maxApiKeys: z.int().min(0, 'It must not be negative.').max(largestInt, `At most ${largestInt}.`),
  monthlyCallQuota: z
    .int('It must be a whole number up to 2^53 - 1.')
    .min(0, 'It must not be negative; leave it out for no limit.')
    .nullish()
    .transform((quota) => quota ?? null),
  /** The rate of all of an account's keys together. Null: none. Left out: another plan stays as it is. */
  rateLimit: rateLimitRule.nullish(),
  /** Whether customers see the plan who are not on it. Left out: a new plan is listed, another stays as it is. */
  listed: z.boolean().nullish(),
})
export type PlanInput = z.infer<typeof planRule>

/** False if no plan can have this slug. */
export function canBePlanSlug(text: string): boolean {
  return planRule.shape.slug.safeParse(text).success
}

/** Allows dotted names, routes and methods, without spaces. */
const apiCallName = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/

/** False if no API call can have this name. */
export function canBeApiCallName(text: string): boolean {
  return apiCallName.test(text)
}

/** An API call in the catalogue, identified by its name. */
export const apiCallRule = z.object({
  name: z
    .string()
    .regex(apiCallName, 'From 1 to 100 letters, digits, and . _ : / -, beginning with a letter or a digit.'),
  title: lineOfText(1, 100),
  category: lineOfText(1, 100),
  kind: z.enum(['READ', 'WRITE']),
})
export type ApiCallInput = z.infer<typeof apiCallRule>

/** A file to seed an empty database from. Other properties are ignored. */
export const catalogueRule = z.object({ plans: z.array(planRule).min(1), apiCalls: z.array(apiCallRule) })

export interface CatalogueStore {
  /** Creates the plan, or changes the one with this slug. Returns its id. */
  savePlan(id: string, plan: PlanInput, at: Date): Promise<string>
  /** Creates the API call, or changes the one with this name. Returns its id. */
  saveApiCall(id: string, apiCall: ApiCallInput, at: Date): Promise<string>
}

/** Plans, and the API calls that keys can be restricted to. */
export class Catalogue {
  readonly #store: CatalogueStore
  readonly #clock: Clock
  readonly #plansChanged: () => void

  constructor(store: CatalogueStore, clock: Clock, plansChanged: () => void) {
    this.#store = store
    this.#clock = clock
    this.#plansChanged = plansChanged
  }

  /** Creates or changes a plan that passed `planRule`. A change applies to the next call. Returns its id. */
  async savePlan(plan: PlanInput): Promise<string> {
    const id = await this.#store.savePlan(uuidv7(), plan, this.#clock.now())
    this.#plansChanged()
    return id
  }

  /** Creates or changes an API call that passed `apiCallRule`. Returns its id. */
  async saveApiCall(apiCall: ApiCallInput): Promise<string> {
    return await this.#store.saveApiCall(uuidv7(), apiCall, this.#clock.now())
  }
}
