import { LRUCache } from 'lru-cache'
import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { type InputIssue, InvalidInputError, NotFoundError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { canBePlanSlug } from './catalogue.ts'
import { CreationRate } from './creation-rate.ts'
import type { NewApiKey } from './key-store.ts'
import type { ApiKeys } from './keys.ts'

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
  /**
   * Creates those that do not exist, each with its first key if its plan allows one, and updates the others. All or
   * none. External ids must differ.
   */
  saveAll(
    accounts: readonly (AccountInput & { id: string; firstKey: NewApiKey })[],
    at: Date,
  ): Promise<
    | { outcome: 'saved'; accounts: { accountId: string; created: boolean; withKey: boolean }[] }
    /** The places in the list, from 0. */
    | { outcome: 'unknown plans'; at: number[] }
  >
  /** Null if there is no such account. */
  setSuspended(externalId: string, suspended: boolean): Promise<string | null>
  /**
   * Removes the account with its keys and usage, after suspending it. If that fails halfway, the account is suspended
   * and some of its keys may be removed; repeating it removes the rest. Null if there is no such account.
   */
  remove(externalId: string): Promise<string | null>
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
  /** The ids of accounts by their external ids. Another server may remove an account, so it is soon asked for again. */
  readonly #ids = new LRUCache<string, string>({
    ttl: fixedLimits.knownAccountsMs,
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
    // Another request has created it in between.
    this.#creationRate.takeBack()
    return await this.findOrCreate(externalId)
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
    return (await this.#update(account)) ?? (await this.#create(account, true)) ?? (await this.save(account))
  }

  /**
   * Does what `save` does for many accounts at once, all or none. Their external ids must differ.
   * @throws InvalidInputError (no such plan; an account that is named twice)
   */
  async saveAll(accounts: readonly AccountInput[]): Promise<SavedAccount[]> {
    const issues = repeated(accounts.map(({ externalId }) => externalId)).map((index) =>
      issueAt(index, 'externalId', 'This account is on the list already.'),
    )
    if (issues.length > 0) throw new InvalidInputError(issues)
    const created = await Promise.all(
      accounts.map(async ({ plan, ...account }) => {
        const { key: firstKey, secret } = await this.#keys.create(null, { mode: 'FULL' })
        // PostgreSQL rejects some texts that cannot be a slug; no plan has the empty one.
        return { ...account, id: uuidv7(), firstKey, secret, plan: canBePlanSlug(plan) ? plan : '' }
      }),
    )
    const result = await this.#store.saveAll(created, this.#clock.now())
    if (result.outcome === 'unknown plans')
      throw new InvalidInputError(
        result.at.map((index) => issueAt(index, 'plan', noSuchPlan(accounts[index]?.plan))),
      )
    return result.accounts.map(({ accountId, created: isNew, withKey }, index) => {
      if (!isNew) this.#changed(accountId)
      return { accountId, firstSecret: withKey ? (created[index]?.secret ?? null) : null }
    })
  }

  /**
   * Suspends an account, or lifts that. All calls of a suspended account's keys are refused; nothing else changes.
   * Applies to every call that begins after this returns. Returns the account's id.
   * @throws NotFoundError
   */
  async setSuspended(externalId: string, suspended: boolean): Promise<string> {
    return this.#found(await this.#store.setSuspended(externalId, suspended))
  }

  /**
   * Removes an account with its keys and usage, for good. A token that still names it creates it anew. If this fails
   * halfway, the account is suspended; repeat it. Returns the id that the account had.
   * @throws NotFoundError
   */
  async remove(externalId: string): Promise<string> {
    const accountId = this.#found(await this.#store.remove(externalId))
    this.#ids.delete(externalId)
    return accountId
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

  #found(accountId: string | null): string {
    if (accountId === null) throw new NotFoundError('There is no account with this external id.')
    this.#changed(accountId)
    return accountId
  }

  async #update(account: AccountInput): Promise<SavedAccount | null> {
    const accountId = await this.#store.update(account)
    if (accountId === null) return null
    this.#changed(accountId)
    return { accountId, firstSecret: null }
  }
}

const noSuchPlan = (slug: string | undefined) => `There is no plan ${JSON.stringify(slug)}.`

function unknownPlan(slug: string): InvalidInputError {
  return new InvalidInputError([{ path: ['input', 'plan'], message: noSuchPlan(slug) }])
}

function issueAt(index: number, field: string, message: string): InputIssue {
  return { path: ['input', 'accounts', String(index), field], message }
}

/** The places of values that occurred earlier in the list. */
function repeated(values: readonly string[]): number[] {
  const seen = new Set<string>()
  return values.flatMap((value, index) => {
    if (seen.has(value)) return [index]
    seen.add(value)
    return []
  })
}
