import type { Access, AccessRestrictions } from './access.ts'
import type { TenantScope } from './principal.ts'
import type { RateLimit } from './rate-limit.ts'

/** The parts of a secret that are stored. */
export interface StoredSecret {
  digest: Uint8Array
  /** JWE, or null if secrets are not recoverable. */
  sealedSecret: string | null
  start: string
}

/** A key's own limits on its calls, besides those of its account. Null is none; what is left out stays as it is. */
export interface CallLimits {
  /** Calls per calendar month. */
  monthlyCallLimit?: number | null
  rateLimit?: RateLimit | null
}

/** What else limits a new key; without any of it, nothing does. */
export interface KeyRestrictions extends AccessRestrictions, CallLimits {
  expiresAt?: Date | null
}

/** A key to be stored. */
export interface NewApiKey extends StoredSecret {
  id: string
  note: string | null
  access: Access
  restrictions?: KeyRestrictions
  createdAt: Date
}

/** A key as its secret finds it, with what decides whether its calls are refused whatever they are. */
export interface FoundApiKey {
  apiKeyId: string
  accountId: string
  /** Whether the secret is the one before the last re-generation. */
  previousSecret: boolean
  enabled: boolean
  expiresAt: Date | null
  accountSuspended: boolean
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
  /**
   * Replaces the key's secret. The replaced one works until `overlapUntil`, or no longer (null); the one before it no
   * longer in any case. Changes nothing if the key expires before `overlapUntil`.
   */
  replaceSecret(
    scope: TenantScope,
    apiKeyId: string,
    secret: StoredSecret,
    at: Date,
    overlapUntil: Date | null,
  ): Promise<
    | { outcome: 'regenerated'; accountId: string }
    | { outcome: 'no key' }
    | { outcome: 'beyond expiry'; expiresAt: Date }
  >
  /** Ends the secret before the last re-generation, if it still works. */
  revokePreviousSecret(scope: TenantScope, apiKeyId: string): Promise<string | null>
  setNote(scope: TenantScope, apiKeyId: string, note: string | null): Promise<string | null>
  setEnabled(scope: TenantScope, apiKeyId: string, enabled: boolean): Promise<string | null>
  /** Sets when the key expires; null is never. An overlap ends then at the latest. */
  setExpiry(scope: TenantScope, apiKeyId: string, expiresAt: Date | null): Promise<string | null>
  setLimits(scope: TenantScope, apiKeyId: string, limits: CallLimits): Promise<string | null>
  setAccess(
    scope: TenantScope,
    apiKeyId: string,
    access: Access,
    restrictions: AccessRestrictions,
  ): Promise<
    | { outcome: 'set'; accountId: string }
    | { outcome: 'no key' }
    | { outcome: 'unknown API calls'; names: string[] }
  >
  /** Marks the key removed and deletes its secrets. */
  remove(scope: TenantScope, apiKeyId: string, at: Date): Promise<string | null>
  /** The key that has the secret with this digest, or had it before the last re-generation if that still works. */
  find(digest: Uint8Array, at: Date): Promise<FoundApiKey | null>
}
