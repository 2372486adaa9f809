import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { catalogueLimits } from '../limits.ts'
import { rateLimitRule } from './rate-limit.ts'
import { lineOfText } from './text.ts'

const { longestPath, namedUsers } = catalogueLimits
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

const methodRule = z
  .string()
  .regex(/^[A-Z]{1,20}$/, 'An HTTP method in upper case, for instance GET.')
  .nullish()

/** Segments of a path: literal ones, and `:name` for any one segment. */
const pathForm =
  /^(\/(:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~!$&'()+,;=@%-][A-Za-z0-9._~!$&'()+,;=@%:-]*))+\/?$/

const pathRule = z
  .string()
  .max(longestPath, `At most ${longestPath} characters.`)
  .refine(
    (path) => path === '/' || (pathForm.test(path) && !/\/\.\.?(\/|$)/.test(path)),
    'A path such as /v3/monitors/:id, in which :id stands for any one segment. It has no query, no wildcard, and no segment that is empty, . or ..',
  )
  .nullish()

/**
 * An API call in the catalogue, identified by its name. Of the properties that may be left out, a new API call has
 * none, and another one keeps its own.
 */
export const apiCallRule = z
  .object({
    name: z
      .string()
      .regex(
        apiCallName,
        'From 1 to 100 letters, digits, and . _ : / -, beginning with a letter or a digit.',
      ),
    title: lineOfText(1, 100),
    category: lineOfText(1, 100),
    kind: z.enum(['READ', 'WRITE']),
    /** Of each account, for this API call. Null: none. */
    rateLimit: rateLimitRule.nullish(),
    /** How a proxy's request is told to be this API call. Null, as its path: only by name. */
    method: methodRule,
    path: pathRule,
    /** Whether restricted keys may make it, too. */
    alwaysAllowed: z.boolean().nullish(),
  })
  .superRefine(({ method, path }, { addIssue }) => {
    const givenAs = (value: string | null | undefined) => (value == null ? value : 'text')
    if (givenAs(method) !== givenAs(path))
      addIssue({
        code: 'custom',
        path: [method == null ? 'method' : 'path'],
        message: 'Give method and path together, or neither.',
      })
  })
export type ApiCallInput = z.infer<typeof apiCallRule>

/** A file to seed an empty database from. Other properties are ignored. */
export const catalogueRule = z.object({ plans: z.array(planRule).min(1), apiCalls: z.array(apiCallRule) })

export interface CatalogueStore {
  /** Creates the plan, or changes the one with this slug. Returns its id. */
  savePlan(id: string, plan: PlanInput, at: Date): Promise<string>
  /** Creates the API call, or changes the one with this name. */
  saveApiCall(
    id: string,
    apiCall: ApiCallInput,
    at: Date,
  ): Promise<
    | { outcome: 'saved'; apiCallId: string }
    /** Another API call has this method and path, if the names of parameters are ignored. */
    | { outcome: 'route taken'; by: string }
  >
  /** Removes the plan unless an account is on it. Names at most `mostNamed` of those. */
  removePlan(slug: string, mostNamed: number): Promise<Removal>
  /** Removes the API call unless a key is restricted to it. Names at most `mostNamed` of those. */
  removeApiCall(name: string, mostNamed: number): Promise<Removal>
}

export type Removal =
  | { outcome: 'removed'; id: string }
  | { outcome: 'not found' }
  /** `more` says whether there are others besides the named ones. */
  | { outcome: 'in use'; users: string[]; more: boolean }

export interface CatalogueOptions {
  store: CatalogueStore
  clock: Clock
  /** The slug of the plan that new customers start on. */
  defaultPlan: string
  /** Called after a change of a plan is committed. */
  plansChanged: () => void
}

/** Plans, and the API calls that keys can be restricted to. */
export class Catalogue {
  readonly #store: CatalogueStore
  readonly #clock: Clock
  readonly #defaultPlan: string
  readonly #plansChanged: () => void

  constructor({ store, clock, defaultPlan, plansChanged }: CatalogueOptions) {
    this.#store = store
    this.#clock = clock
    this.#defaultPlan = defaultPlan
    this.#plansChanged = plansChanged
  }

  /** Creates or changes a plan that passed `planRule`. A change applies to the next call. Returns its id. */
  async savePlan(plan: PlanInput): Promise<string> {
    const id = await this.#store.savePlan(uuidv7(), plan, this.#clock.now())
    this.#plansChanged()
    return id
  }

  /**
   * Creates or changes an API call that passed `apiCallRule`. Returns its id.
   * @throws InvalidInputError (another API call has its method and path)
   */
  async saveApiCall(apiCall: ApiCallInput): Promise<string> {
    const result = await this.#store.saveApiCall(uuidv7(), apiCall, this.#clock.now())
    if (result.outcome === 'saved') return result.apiCallId
    throw new InvalidInputError([
      { path: ['input', 'path'], message: `The API call ${result.by} has this method and path.` },
    ])
  }

  /**
   * Removes a plan that no account is on. Returns the id that it had.
   * @throws NotFoundError, InvalidInputError (it is in use)
   */
  async removePlan(slug: string): Promise<string> {
    if (slug === this.#defaultPlan)
      throw inUse('slug', 'New customers start on this plan (DEFAULT_PLAN), so it cannot be removed.')
    if (!canBePlanSlug(slug)) throw new NotFoundError('There is no plan with this slug.')
    const result = await this.#store.removePlan(slug, namedUsers)
    if (result.outcome === 'removed') return result.id
    if (result.outcome === 'not found') throw new NotFoundError('There is no plan with this slug.')
    throw inUse('slug', `Accounts are on this plan: ${listed(result)}. Change their plan first.`)
  }

  /**
   * Removes an API call that no key is restricted to. Returns the id that it had.
   * @throws NotFoundError, InvalidInputError (it is in use)
   */
  async removeApiCall(name: string): Promise<string> {
    if (!canBeApiCallName(name)) throw new NotFoundError('The catalogue has no API call with this name.')
    const result = await this.#store.removeApiCall(name, namedUsers)
    if (result.outcome === 'removed') return result.id
    if (result.outcome === 'not found')
      throw new NotFoundError('The catalogue has no API call with this name.')
    throw inUse('name', `Keys are restricted to this API call: ${listed(result)}. Change their access first.`)
  }
}

function listed({ users, more }: { users: string[]; more: boolean }): string {
  return more ? `${users.join(', ')} and others` : users.join(', ')
}

function inUse(field: string, message: string): InvalidInputError {
  return new InvalidInputError([{ path: ['input', field], message }])
}
