import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { InvalidInputError } from '../errors.ts'
import { canBePlanSlug } from './catalogue.ts'
import { CreationRate } from './creation-rate.ts'
import type { ApiKeys, NewApiKey } from './keys.ts'

export interface AccountInput {
  externalId: string
  name: string
  /** The plan's slug. */
  plan: string
}

export interface AccountStore {
  /** The id of the account with this external id, or null. */
  find(externalId: string): Promise<string | null>
  /** Creates the account together with its first key, if the plan allows one. Leaves an account that exists alone. */
  create(
    id: string,
    account: AccountInput,
    firstKey: NewApiKey,
    at: Date,
  ): Promise<'created' | 'exists' | 'no plan'>
  /** Renames the account and changes its plan. Null if there is no such account or no such plan. */
  update(account: AccountInput): Promise<string | null>
}

export interface AccountsOptions {
  store: AccountStore
  keys: ApiKeys
  clock: Clock
  /** The slug of the plan that new customers start on. */
  defaultPlan: string
  /** How many accounts the claims of tokens may create per minute. */
  mostCreatedPerMinute: number
  /** Called after a change of an account is committed. */
  changed: (accountId: string) => void
}

/** Customers of the SaaS. Every account starts with one key. */
export class Accounts {
  readonly #store: AccountStore
  readonly #keys: ApiKeys
  readonly #clock: Clock
  readonly #defaultPlan: string
  readonly #creationRate: CreationRate
  readonly #changed: (accountId: string) => void

  constructor({ store, keys, clock, defaultPlan, mostCreatedPerMinute, changed }: AccountsOptions) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#defaultPlan = defaultPlan
    this.#creationRate = new CreationRate(clock, mostCreatedPerMinute)
    this.#changed = changed
  }

  /**
   * The id of the account that a customer's token names. Creates it on the default plan when it is first seen.
   * @throws OverloadedError if too many accounts are being created
   */
  async findOrCreate(externalId: string): Promise<string> {
    const found = await this.#store.find(externalId)
    if (found !== null) return found
    this.#creationRate.count()
    const created = await this.add({ externalId, name: externalId, plan: this.#defaultPlan })
    if (created !== null) return created
    // Another request has created it in between. Accounts are never deleted.
    this.#creationRate.takeBack()
    return (await this.#store.find(externalId)) as string
  }

  /** The id of the account with this external id, or null. */
  async find(externalId: string): Promise<string | null> {
    return await this.#store.find(externalId)
  }

  /**
   * Creates an account, or renames it and changes its plan. A smaller plan removes no keys; it only stops new ones.
   * Returns the account's id.
   * @throws InvalidInputError (no such plan)
   */
  async save(account: AccountInput): Promise<string> {
    // PostgreSQL rejects some texts that cannot be a slug.
    if (!canBePlanSlug(account.plan)) throw unknownPlan(account.plan)
    // Mostly the account exists, so that is tried first; a new one may be created by another server in between.
    const id = (await this.#update(account)) ?? (await this.add(account)) ?? (await this.#update(account))
    if (id === null) throw unknownPlan(account.plan)
    return id
  }

  /**
   * Creates an account and returns its id. Null if the external id is taken; that account is left as it is.
   * @throws InvalidInputError (no such plan)
   */
  async add(account: AccountInput): Promise<string | null> {
    const id = uuidv7()
    const { key } = await this.#keys.create(null, { mode: 'FULL' })
    const result = await this.#store.create(id, account, key, this.#clock.now())
    if (result === 'no plan') throw unknownPlan(account.plan)
    return result === 'created' ? id : null
  }

  async #update(account: AccountInput): Promise<string | null> {
    const id = await this.#store.update(account)
    if (id !== null) this.#changed(id)
    return id
  }
}

function unknownPlan(slug: string): InvalidInputError {
  return new InvalidInputError([
    { path: ['input', 'plan'], message: `There is no plan ${JSON.stringify(slug)}.` },
  ])
}
