import { LRUCache } from 'lru-cache'
import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { InvalidInputError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
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
  /** Creates the account with its first key, if one is given and the plan allows it. Leaves an existing account alone. */
  create(
    id: string,
    account: AccountInput,
    firstKey: NewApiKey | null,
    at: Date,
  ): Promise<{ outcome: 'created'; withKey: boolean } | { outcome: 'exists' } | { outcome: 'no plan' }>
  /** Renames the account and changes its plan. Null if there is no such account or no such plan. */
  update(account: AccountInput): Promise<string | null>
}

/** An account that was saved. */
export interface SavedAccount {
  accountId: string
  /** The secret of its first key, if it was created with one. */
  firstSecret: string | null
}

export interface AccountsOptions {
  store: AccountStore
  keys: ApiKeys
  clock: Clock
  /** The slug of the plan that new customers start on. */
  defaultPlan: string
  /** How many accounts the claims of tokens may create per minute. */
  mostCreatedPerMinute: number
  /** Whether accounts that claims create have a key. Nobody would ever see its secret if it were shown only once. */
  firstKeyByClaim: boolean
  /** Called after a change of an account is committed. */
  changed: (accountId: string) => void
}

/** Customers of the SaaS. An account starts with one key if somebody can see its secret. */
export class Accounts {
  readonly #store: AccountStore
  readonly #keys: ApiKeys
  readonly #clock: Clock
  readonly #defaultPlan: string
  readonly #creationRate: CreationRate
  readonly #firstKeyByClaim: boolean
  readonly #changed: (accountId: string) => void
  /** The ids of accounts by their external ids, neither of which ever changes. */
  readonly #ids = new LRUCache<string, string>({
    maxSize: fixedLimits.knownAccountsLength,
    sizeCalculation: (id, externalId) => id.length + externalId.length,
  })

  constructor({
    store,
    keys,
    clock,
    defaultPlan,
    mostCreatedPerMinute,
    firstKeyByClaim,
    changed,
  }: AccountsOptions) {
    this.#store = store
    this.#keys = keys
    this.#clock = clock
    this.#defaultPlan = defaultPlan
    this.#firstKeyByClaim = firstKeyByClaim
    this.#creationRate = new CreationRate(clock, mostCreatedPerMinute)
    this.#changed = changed
  }

  /** The id of the account with this external id; undefined where the database must be asked. */
  idOf(externalId: string): string | undefined {
    return this.#ids.get(externalId)
  }

  /**
   * The id of the account that a customer's token names. Creates it on the default plan when it is first seen.
   * @throws OverloadedError if too many accounts are being created
   */
  async findOrCreate(externalId: string): Promise<string> {
    const id = await this.#findOrCreate(externalId)
    this.#ids.set(externalId, id)
    return id
  }

  async #findOrCreate(externalId: string): Promise<string> {
    const found = await this.#store.find(externalId)
    if (found !== null) return found
    this.#creationRate.count()
    const account = { externalId, name: externalId, plan: this.#defaultPlan }
    const created = await this.#create(account, this.#firstKeyByClaim)
    if (created !== null) return created.accountId
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
   * @throws InvalidInputError (no such plan)
   */
  async save(account: AccountInput): Promise<SavedAccount> {
    // PostgreSQL rejects some texts that cannot be a slug.
    if (!canBePlanSlug(account.plan)) throw unknownPlan(account.plan)
    // Mostly the account exists, so that is tried first; a new one may be created by another server in between.
    const saved =
      (await this.#update(account)) ?? (await this.#create(account, true)) ?? (await this.#update(account))
    if (saved === null) throw unknownPlan(account.plan)
    return saved
  }

  /**
   * Creates an account with its first key and returns its id. Null if the external id is taken; that account is left as it is.
   * @throws InvalidInputError (no such plan)
   */
  async add(account: AccountInput): Promise<string | null> {
    return (await this.#create(account, true))?.accountId ?? null
  }

  async #create(account: AccountInput, withKey: boolean): Promise<SavedAccount | null> {
    const accountId = uuidv7()
    const first = withKey ? await this.#keys.create(null, { mode: 'FULL' }) : null
    const result = await this.#store.create(accountId, account, first?.key ?? null, this.#clock.now())
    if (result.outcome === 'no plan') throw unknownPlan(account.plan)
    if (result.outcome === 'exists') return null
    return { accountId, firstSecret: result.withKey && first ? first.secret : null }
  }

  async #update(account: AccountInput): Promise<SavedAccount | null> {
    const accountId = await this.#store.update(account)
    if (accountId === null) return null
    this.#changed(accountId)
    return { accountId, firstSecret: null }
  }
}

function unknownPlan(slug: string): InvalidInputError {
  return new InvalidInputError([
    { path: ['input', 'plan'], message: `There is no plan ${JSON.stringify(slug)}.` },
  ])
}
