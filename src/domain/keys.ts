import { v7 as uuidv7 } from 'uuid'
import type { Clock } from '../clock.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../errors.ts'
import type { Access } from './access.ts'
import type { Reach } from './principal.ts'
import { digestOf, generateSecret, startOf } from './secret.ts'
import type { SecretVault } from './secret-vault.ts'
import { lineOfText } from './text.ts'

/** A note as it is kept: trimmed, at most 200 characters of any script, one line. Blank clears it. */
export const noteRule = lineOfText(0, 200)

/** What is stored of a secret. */
export interface StoredSecret {
  digest: Uint8Array
  /** JWE, or null where secrets are not recoverable. */
  sealedSecret: string | null
  start: string
}

/** A key that is about to be stored. */
export interface NewApiKey extends StoredSecret {
  id: string
  note: string | null
  access: Access
  createdAt: Date
}

/**
 * Where keys are kept. A method that finds no key (unknown, removed, out of reach) answers null, the others
 * with the id of the account that the key belongs to. Each is one transaction.
 */
export interface ApiKeyStore {
  /** Adds a key unless the account's plan is full, whatever else is being added at the same time. */
  add(
    accountId: string,
    key: NewApiKey,
  ): Promise<
    | { outcome: 'added' }
    | { outcome: 'no account' }
    | { outcome: 'limit reached'; limit: number; planId: string }
    | { outcome: 'unknown API calls'; names: string[] }
  >
  replaceSecret(reach: Reach, apiKeyId: string, secret: StoredSecret, at: Date): Promise<string | null>
  setNote(reach: Reach, apiKeyId: string, note: string | null): Promise<string | null>
  setAccess(
    reach: Reach,
    apiKeyId: string,
    access: Access,
  ): Promise<
    | { outcome: 'set'; accountId: string }
    | { outcome: 'no key' }
    | { outcome: 'unknown API calls'; names: string[] }
  >
  /** Marks the key removed and forgets its secret. */
  remove(reach: Reach, apiKeyId: string, at: Date): Promise<string | null>
}

/** A key's id and its secret, which is told only here. */
export interface IssuedApiKey {
  apiKeyId: string
  secret: string
}

export interface ApiKeysOptions {
  store: ApiKeyStore
  vault: SecretVault
  clock: Clock
  /** What new secrets begin with. */
  prefix: string
  /** Told the account after each change of its keys has been committed. */
  changed: (accountId: string) => void
}

/** Everything that is done with keys but using them: each promise of the client area is a method. */
export class ApiKeys {
  readonly #store: ApiKeyStore
  readonly #vault: SecretVault
  readonly #clock: Clock
  readonly #prefix: string
  readonly #changed: (accountId: string) => void

  constructor({ store, vault, clock, prefix, changed }: ApiKeysOptions) {
    this.#store = store
    this.#vault = vault
    this.#clock = clock
    this.#prefix = prefix
    this.#changed = changed
  }

  /** Makes up a key without storing it, for whoever stores it together with its account. */
  async create(note: string | null, access: Access): Promise<{ key: NewApiKey; secret: string }> {
    const id = uuidv7()
    const { secret, stored } = await this.#newSecret(id)
    return { key: { id, note, access, createdAt: this.#clock.now(), ...stored }, secret }
  }

  /**
   * Adds a key to an account within its plan.
   * @throws ApiKeyLimitReachedError, NotFoundError (no such account), InvalidInputError (unknown API calls)
   */
  async add(accountId: string, note: string | null, access: Access): Promise<IssuedApiKey> {
    const { key, secret } = await this.create(note, access)
    const result = await this.#store.add(accountId, key)
    switch (result.outcome) {
      case 'limit reached':
        throw new ApiKeyLimitReachedError(result.limit, result.planId)
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
   * A new secret in place. The old one is refused from the moment this returns.
   * @throws NotFoundError
   */
  async regenerate(reach: Reach, apiKeyId: string): Promise<IssuedApiKey> {
    const { secret, stored } = await this.#newSecret(apiKeyId)
    this.#found(await this.#store.replaceSecret(reach, apiKeyId, stored, this.#clock.now()))
    return { apiKeyId, secret }
  }

  /**
   * Sets or (blank or null) clears the note. The note must have passed `noteRule`.
   * @throws NotFoundError
   */
  async setNote(reach: Reach, apiKeyId: string, note: string | null): Promise<void> {
    this.#found(await this.#store.setNote(reach, apiKeyId, note || null))
  }

  /**
   * Sets what the key may call; true of every call that begins after this returns.
   * @throws NotFoundError, InvalidInputError (names every unknown API call)
   */
  async configureAccess(reach: Reach, apiKeyId: string, access: Access): Promise<void> {
    const result = await this.#store.setAccess(reach, apiKeyId, access)
    if (result.outcome === 'unknown API calls') throw unknownApiCalls(result.names)
    this.#found(result.outcome === 'set' ? result.accountId : null)
  }

  /**
   * Stops the key for good; its past calls stay counted in its account's months.
   * @returns the id of the account it belonged to
   * @throws NotFoundError
   */
  async remove(reach: Reach, apiKeyId: string): Promise<string> {
    return this.#found(await this.#store.remove(reach, apiKeyId, this.#clock.now()))
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

function unknownApiCalls(names: string[]): InvalidInputError {
  return new InvalidInputError(
    names.map((name) => ({
      path: ['input', 'access', 'apiCalls'],
      message: `The catalogue has no API call named ${JSON.stringify(name)}.`,
    })),
  )
}
