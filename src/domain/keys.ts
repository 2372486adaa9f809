import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../errors.ts'
import type { Access } from './access.ts'
import type { TenantScope } from './principal.ts'
import { digestOf, generateSecret, startOf } from './secret.ts'
import type { SecretVault } from './secret-vault.ts'
import { lineOfText } from './text.ts'

/** A note: one line of at most 200 characters, trimmed. A blank note is none. */
export const noteRule = lineOfText(0, 200)

/** The parts of a secret that are stored. */
export interface StoredSecret {
  digest: Uint8Array
  /** JWE, or null if secrets are not recoverable. */
  sealedSecret: string | null
  start: string
}

/** A key to be stored. */
export interface NewApiKey extends StoredSecret {
  id: string
  note: string | null
  access: Access
  createdAt: Date
}

/**
 * Stores keys. Methods that change a key return the id of its account, or null if there is no such key in the tenant
 * scope (unknown, removed, or another account's). Each method is one transaction.
 */
export interface ApiKeyStore {
  /**
   * Adds a key unless the account's plan is full, or `mostPerHour` keys were added within the hour before it (null: no
   * limit). Exact even if other servers add keys at the same time.
   */
  add(
    accountId: string,
    key: NewApiKey,
    mostPerHour: number | null,
  ): Promise<
    | { outcome: 'added' }
    | { outcome: 'no account' }
    | { outcome: 'limit reached'; limit: number; planId: string }
    | { outcome: 'too many additions'; nextAdditionAt: Date }
    | { outcome: 'unknown API calls'; names: string[] }
  >
  replaceSecret(scope: TenantScope, apiKeyId: string, secret: StoredSecret, at: Date): Promise<string | null>
  setNote(scope: TenantScope, apiKeyId: string, note: string | null): Promise<string | null>
  setAccess(
    scope: TenantScope,
    apiKeyId: string,
    access: Access,
  ): Promise<
    | { outcome: 'set'; accountId: string }
    | { outcome: 'no key' }
    | { outcome: 'unknown API calls'; names: string[] }
  >
  /** Marks the key removed and deletes its secret. */
  remove(scope: TenantScope, apiKeyId: string, at: Date): Promise<string | null>
}

/** A key's id and its new secret. */
export interface IssuedApiKey {
  apiKeyId: string
  secret: string
}

export interface ApiKeysOptions {
  store: ApiKeyStore
  vault: SecretVault
  clock: Clock
  /** The prefix of new secrets. */
  prefix: string
  /** How many keys customers may add to one account within an hour. */
  mostAddedPerHour: number
  /** Called after each committed change of an account's keys. */
  changed: (accountId: string) => void
}

/** Issuing and changing keys. */
export class ApiKeys {
  readonly #store: ApiKeyStore
  readonly #vault: SecretVault
  readonly #clock: Clock
  readonly #prefix: string
  readonly #mostAddedPerHour: number
  readonly #changed: (accountId: string) => void

  constructor({ store, vault, clock, prefix, mostAddedPerHour, changed }: ApiKeysOptions) {
    this.#store = store
    this.#vault = vault
    this.#clock = clock
    this.#prefix = prefix
    this.#mostAddedPerHour = mostAddedPerHour
    this.#changed = changed
  }

  /** Creates a key without storing it, for a caller that stores it together with its account. */
  async create(note: string | null, access: Access): Promise<{ key: NewApiKey; secret: string }> {
    const id = uuidv7()
    const { secret, stored } = await this.#newSecret(id)
    return { key: { id, note, access, createdAt: this.#clock.now(), ...stored }, secret }
  }

  /**
   * Adds a key to an account within its plan. Customers are limited to so many additions per hour.
   * @throws ApiKeyLimitReachedError, NotFoundError (no such account), InvalidInputError (unknown API calls, or too many
   * additions)
   */
  async add(
    accountId: string,
    note: string | null,
    access: Access,
    addedBy: 'customer' | 'operator' = 'customer',
  ): Promise<IssuedApiKey> {
    const { key, secret } = await this.create(note, access)
    const mostPerHour = addedBy === 'customer' ? this.#mostAddedPerHour : null
    const result = await this.#store.add(accountId, key, mostPerHour)
    switch (result.outcome) {
      case 'limit reached':
        throw new ApiKeyLimitReachedError(result.limit, result.planId)
      case 'too many additions':
        throw tooManyAdditions(this.#mostAddedPerHour, result.nextAdditionAt)
      case 'no account':
        throw new NotFoundError('There is no account with this id.')
      case 'unknown API calls':
        throw unknownApiCalls(result.names)
      case 'added':
        this.#changed(accountId)
        return { apiKeyId: key.id, secret }
    }
  }

  /**
   * Replaces the key's secret. The old one is refused by every call that begins after this returns.
   * @throws NotFoundError
   */
  async regenerate(scope: TenantScope, apiKeyId: string): Promise<IssuedApiKey> {
    const { secret, stored } = await this.#newSecret(apiKeyId)
    this.#found(await this.#store.replaceSecret(scope, apiKeyId, stored, this.#clock.now()))
    return { apiKeyId, secret }
  }

  /**
   * Sets or (blank or null) clears the note. The note must have passed `noteRule`.
   * @throws NotFoundError
   */
  async setNote(scope: TenantScope, apiKeyId: string, note: string | null): Promise<void> {
    this.#found(await this.#store.setNote(scope, apiKeyId, note || null))
  }

  /**
   * Sets what the key may call. Applies to every call that begins after this returns.
   * @throws NotFoundError, InvalidInputError (names every unknown API call)
   */
  async configureAccess(scope: TenantScope, apiKeyId: string, access: Access): Promise<void> {
    const result = await this.#store.setAccess(scope, apiKeyId, access)
    if (result.outcome === 'unknown API calls') throw unknownApiCalls(result.names)
    this.#found(result.outcome === 'set' ? result.accountId : null)
  }

  /**
   * Removes the key for good. Its past calls stay counted in its account's months.
   * @returns the id of the account it belonged to
   * @throws NotFoundError
   */
  async remove(scope: TenantScope, apiKeyId: string): Promise<string> {
    return this.#found(await this.#store.remove(scope, apiKeyId, this.#clock.now()))
  }

  async #newSecret(apiKeyId: string): Promise<{ secret: string; stored: StoredSecret }> {
    const secret = generateSecret(this.#prefix)
    const sealedSecret = await this.#vault.seal(secret, apiKeyId)
    return { secret, stored: { digest: digestOf(secret), sealedSecret, start: startOf(secret) } }
  }

  #found(accountId: string | null): string {
    if (accountId === null) throw new NotFoundError('There is no API key with this id.')
    this.#changed(accountId)
    return accountId
  }
}

function tooManyAdditions(mostPerHour: number, nextAt: Date): InvalidInputError {
  const keys = mostPerHour === 1 ? '1 key' : `${mostPerHour} keys`
  const message = `At most ${keys} may be added to an account within an hour. Try again after ${nextAt.toISOString()}.`
  return new InvalidInputError([{ path: ['input'], message }])
}

function unknownApiCalls(names: string[]): InvalidInputError {
  return new InvalidInputError(
    names.map((name) => ({
      path: ['input', 'access', 'apiCalls'],
      message: `The catalogue has no API call named ${JSON.stringify(name)}.`,
    })),
  )
}
