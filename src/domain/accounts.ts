import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { InvalidInputError } from '../errors.ts'
import { canBePlanSlug } from './catalogue.ts'
import type { ApiKeys, NewApiKey } from './keys.ts'

export interface AccountInput {
  externalId: string
  name: string
  /** The plan's slug. */
  plan: string
}

export interface AccountStore {
  /** The id of the account of that external id, or null. */
  find(externalId: string): Promise<string | null>
  /**
   * Creates the account together with its first key (if the plan allows one). One that is there already is
   * left as it is. Null where there is no such plan.
   */
  create(
    id: string,
    account: AccountInput,
    firstKey: NewApiKey,
    at: Date,
  ): Promise<{ id: string; created: boolean } | null>
  /** Renames the account and changes its plan. Null where there is no such account or no such plan. */
  update(account: AccountInput): Promise<string | null>
}

export interface AccountsOptions {
  store: AccountStore
  keys: ApiKeys
  clock: Clock
  /** The slug of the plan that new customers begin on. */
  defaultPlan: string
  /** Told the account after a change of it has been committed. */
  changed: (accountId: string) => void
}

/** Customers of the SaaS. Every account starts with one key. */
export class Accounts {
  readonly #store: AccountStore
  readonly #keys: ApiKeys
  readonly #clock: Clock
  readonly #defaultPlan: string
  readonly #changed: (accountId: string) => void

  constructor({ store, keys, clock, defaultPlan, changed }: AccountsOptions) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#defaultPlan = defaultPlan
    this.#changed = changed
  }

  /** The id of the account that a customer's token names; created on the default plan at first sight. */
  async findOrCreate(externalId: string): Promise<string> {
    const found = await this.#store.find(externalId)
    if (found !== null) return found
    return (await this.#create({ externalId, name: externalId, plan: this.#defaultPlan })).id
  }

  /** The id of an account, or null where there is none of that external id. */
  async find(externalId: string): Promise<string | null> {
    return await this.#store.find(externalId)
  }

  /**
   * Creates an account, or renames it and changes its plan. A smaller plan removes no keys: it only stops
   * adding. Returns the account's id.
   * @throws InvalidInputError (no such plan)
   */
  async save(account: AccountInput): Promise<string> {
    // The database would refuse some texts that cannot be a slug instead of not finding them.
    if (!canBePlanSlug(account.plan)) throw unknownPlan(account.plan)
    if ((await this.#store.find(account.externalId)) === null) {
      const { id, created } = await this.#create(account)
      if (created) return id
    }
    const id = await this.#store.update(account)
    if (id === null) throw unknownPlan(account.plan)
    this.#changed(id)
    return id
  }

  /**
   * Creates an account. Null where there is one of that external id, which is left as it is.
   * @throws InvalidInputError (no such plan)
   */
  async add(account: AccountInput): Promise<string | null> {
    const { id, created } = await this.#create(account)
    return created ? id : null
  }

  async #create(account: AccountInput): Promise<{ id: string; created: boolean }> {
    const { key } = await this.#keys.create(null, { mode: 'FULL' })
    const result = await this.#store.create(uuidv7(), account, key, this.#clock.now())
    if (result === null) throw unknownPlan(account.plan)
    return result
  }
}

function unknownPlan(slug: string): InvalidInputError {
  return new InvalidInputError([
    { path: ['input', 'plan'], message: `There is no plan ${JSON.stringify(slug)}.` },
  ])
}
