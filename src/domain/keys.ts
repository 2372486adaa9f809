import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { ApiKeyLimitReachedError, InvalidInputError, NotFoundError } from '../errors.ts'
import { keyLimits } from '../limits.ts'
import type { Access, AccessRestrictions } from './access.ts'
import type {
  ApiKeyStore,
  CallLimits,
  FoundApiKey,
  KeyRestrictions,
  NewApiKey,
  StoredSecret,
} from './key-store.ts'
import type { DecisionCode } from './metering/decision.ts'
import type { TenantScope } from './principal.ts'
import { digestOf, generateSecret, mayBeSecret, startOf } from './secret.ts'
import type { SecretVault } from './secret-vault.ts'
import { lineOfText } from './text.ts'

/** A note: one line of at most 200 characters, trimmed. A blank note is none. */
export const noteRule = lineOfText(0, 200)

/** A monthly limit on a key's calls: at least one. A key without any is disabled instead. */
export const monthlyCallLimitRule = z
  .int('It must be a whole number up to 2^53 - 1.')
  .min(1, 'At least 1. To refuse every call, disable the key.')

const { overlapSeconds: longestOverlap } = keyLimits

/** For how many seconds a replaced secret goes on working. */
export const overlapRule = z
  .int()
  .min(0, 'It must not be negative.')
  .max(longestOverlap, `At most ${longestOverlap} seconds, which is 30 days.`)

/** When a key expires. Within the years that every client can write. */
export const expiryRule = z
  .date()
  .min(new Date('1970-01-01T00:00:00.000Z'), 'Not before 1970.')
  .max(new Date('9999-12-31T23:59:59.999Z'), 'Not after the year 9999.')

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

/** What a call would be told as far as that depends on the key and its account alone. */
export type KeyStanding = Extract<
  DecisionCode,
  'KEY_DISABLED' | 'KEY_EXPIRED' | 'ACCOUNT_SUSPENDED' | 'ADMITTED'
>

/** A key that its secret describes. */
export interface DescribedApiKey {
  apiKeyId: string
  accountId: string
  /** Whether the secret is the one before the last re-generation. */
  previousSecret: boolean
  code: KeyStanding
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
  async create(
    note: string | null,
    access: Access,
    restrictions: KeyRestrictions = {},
  ): Promise<{ key: NewApiKey; secret: string }> {
    const id = uuidv7()
    const { secret, stored } = await this.#newSecret(id)
    return { key: { id, note, access, restrictions, createdAt: this.#clock.now(), ...stored }, secret }
  }

  /**
   * Adds a key to an account within its plan. Customers are limited to so many additions per hour. The note and the
   * restrictions must have passed their rules.
   * @throws ApiKeyLimitReachedError, NotFoundError (no such account), InvalidInputError (unknown API calls, an expiry in
   * the past, or too many additions)
   */
  async add(
    accountId: string,
    note: string | null,
    access: Access,
    addedBy: 'customer' | 'operator' = 'customer',
    restrictions: KeyRestrictions = {},
  ): Promise<IssuedApiKey> {
    this.#requireFuture(restrictions.expiresAt)
    const { key, secret } = await this.create(note, access, restrictions)
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
   * Replaces the key's secret. The old one works for `overlapSeconds` more; with 0 it is refused by every call that
   * begins after this returns. A secret that an earlier re-generation left working is refused in any case.
   * @throws NotFoundError, InvalidInputError (the key expires before the overlap ends)
   */
  async regenerate(scope: TenantScope, apiKeyId: string, overlapSeconds = 0): Promise<IssuedApiKey> {
    const { secret, stored } = await this.#newSecret(apiKeyId)
    const at = this.#clock.now()
    const overlapUntil = overlapSeconds === 0 ? null : new Date(at.getTime() + overlapSeconds * 1_000)
    const result = await this.#store.replaceSecret(scope, apiKeyId, stored, at, overlapUntil)
    if (result.outcome === 'beyond expiry') throw overlapBeyondExpiry(result.expiresAt)
    this.#found(result.outcome === 'regenerated' ? result.accountId : null)
    return { apiKeyId, secret }
  }

  /**
   * Ends what a re-generation with an overlap left working. Without such a secret, nothing changes.
   * @throws NotFoundError
   */
  async revokePreviousSecret(scope: TenantScope, apiKeyId: string): Promise<void> {
    this.#found(await this.#store.revokePreviousSecret(scope, apiKeyId))
  }

  /**
   * Sets or (blank or null) clears the note. The note must have passed `noteRule`.
   * @throws NotFoundError
   */
  async setNote(scope: TenantScope, apiKeyId: string, note: string | null): Promise<void> {
    this.#found(await this.#store.setNote(scope, apiKeyId, note || null))
  }

  /**
   * Turns the key on or off. Off, it is refused by every call that begins after this returns.
   * @throws NotFoundError
   */
  async setEnabled(scope: TenantScope, apiKeyId: string, enabled: boolean): Promise<void> {
    this.#found(await this.#store.setEnabled(scope, apiKeyId, enabled))
  }

  /**
   * Sets when the key expires, or (null) that it does not. The date must have passed `expiryRule`.
   * @throws NotFoundError, InvalidInputError (in the past)
   */
  async setExpiry(scope: TenantScope, apiKeyId: string, expiresAt: Date | null): Promise<void> {
    this.#requireFuture(expiresAt)
    this.#found(await this.#store.setExpiry(scope, apiKeyId, expiresAt))
  }

  /**
   * Sets or (null) lifts the key's own limits, which must have passed their rules. What is left out stays as it is.
   * @throws NotFoundError
   */
  async setLimits(scope: TenantScope, apiKeyId: string, limits: CallLimits): Promise<void> {
    this.#found(await this.#store.setLimits(scope, apiKeyId, limits))
  }

  /**
   * Sets what the key may call, and the restrictions that are not left out. Applies to every call that begins after this
   * returns.
   * @throws NotFoundError, InvalidInputError (names every unknown API call)
   */
  async configureAccess(
    scope: TenantScope,
    apiKeyId: string,
    access: Access,
    restrictions: AccessRestrictions = {},
  ): Promise<void> {
    const result = await this.#store.setAccess(scope, apiKeyId, access, restrictions)
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

  /** What a secret is and may do, or null if no key has it. For gateways: limited to no tenant scope. */
  async describe(secret: string): Promise<DescribedApiKey | null> {
    if (!mayBeSecret(secret, this.#prefix)) return null
    const at = this.#clock.now()
    const key = await this.#store.find(digestOf(secret), at)
    if (!key) return null
    const { apiKeyId, accountId, previousSecret } = key
    return { apiKeyId, accountId, previousSecret, code: standingOf(key, at) }
  }

  async #newSecret(apiKeyId: string): Promise<{ secret: string; stored: StoredSecret }> {
    const secret = generateSecret(this.#prefix)
    const sealedSecret = await this.#vault.seal(secret, apiKeyId)
    return { secret, stored: { digest: digestOf(secret), sealedSecret, start: startOf(secret) } }
  }

  #requireFuture(expiresAt: Date | null | undefined): void {
    if (!expiresAt || expiresAt > this.#clock.now()) return
    throw new InvalidInputError([
      { path: ['input', 'expiresAt'], message: 'It must be in the future. To stop a key now, disable it.' },
    ])
  }

  #found(accountId: string | null): string {
    if (accountId === null) throw new NotFoundError('There is no API key with this id.')
    this.#changed(accountId)
    return accountId
  }
}

/** The first reason that applies, in the order of the decision codes. */
function standingOf({ enabled, expiresAt, accountSuspended }: FoundApiKey, at: Date): KeyStanding {
  if (!enabled) return 'KEY_DISABLED'
  if (expiresAt && expiresAt <= at) return 'KEY_EXPIRED'
  return accountSuspended ? 'ACCOUNT_SUSPENDED' : 'ADMITTED'
}

function overlapBeyondExpiry(expiresAt: Date): InvalidInputError {
  const message = `The old secret cannot work longer than the key, which expires at ${expiresAt.toISOString()}.`
  return new InvalidInputError([{ path: ['input', 'overlapSeconds'], message }])
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
