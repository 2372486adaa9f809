import {
  createRemoteJWKSet,
  errors,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
  type JWTVerifyGetKey,
} from 'jose'
import type { Clock } from '../clock.ts'
import { UnavailableError } from '../errors.ts'

export interface IssuerKeysOptions {
  /** Where the issuer publishes its keys. */
  url: URL
  clock: Clock
  /** How long keys are used after they were last fetched, if they cannot be fetched again. */
  maxStaleMs: number
}

/** Keys of this age are fetched again while they stay in use. */
const refreshAfterMs = 300_000

/** A token waits for keys of this age to be fetched again, unless that has just failed. */
const refreshBeforeUseAfterMs = 600_000

/**
 * A token with an unknown key has the keys fetched again, but not sooner than this after the last time: strangers can
 * make up such tokens. The issuer's new key is found this much later at most.
 */
const unknownKeyCooldownMs = 30_000

/**
 * After an attempt that failed, the next one does not begin sooner than this. Less than a second: `/ready` asks once a
 * second, and must not find that it came a moment too soon.
 */
const retryAfterMs = 900

const forever = Number.POSITIVE_INFINITY

/**
 * The token issuer's public keys. They are fetched when they are needed, by one request at a time. While the issuer
 * cannot be reached, the keys that were fetched last stay in use for a bounded time.
 */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  /** Fetches only when it is told to. */
  readonly #remote: ReturnType<typeof createRemoteJWKSet>
  #fetchedAtMs: number | undefined
  #failure: { atMs: number; error: UnavailableError } | undefined
  #refreshing: Promise<void> | undefined

  constructor(options: IssuerKeysOptions) {
    this.#options = options
    this.#remote = createRemoteJWKSet(options.url, { cacheMaxAge: forever, cooldownDuration: forever })
  }

  /** Finds the key of a token. @throws UnavailableError; jose's errors where the issuer has no such key */
  find: JWTVerifyGetKey = async (header, token) => {
    await this.#haveUsableKeys()
    try {
      return await this.#lookUp(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#ageMs < unknownKeyCooldownMs) throw error
      await this.#refresh()
      return await this.#lookUp(header, token)
    }
  }

  /** Resolves when there are keys that may be used. @throws UnavailableError */
  async checkReady(): Promise<void> {
    if (this.#ageMs > this.#options.maxStaleMs) await this.#refresh()
  }

  #lookUp(header: JWSHeaderParameters, token: FlattenedJWSInput) {
    return this.#remote(header as Parameters<JWTVerifyGetKey>[0], token)
  }

  async #haveUsableKeys(): Promise<void> {
    const ageMs = this.#ageMs
    if (ageMs <= refreshAfterMs) return
    const refreshed = this.#refresh()
    if (ageMs > this.#options.maxStaleMs) return await refreshed
    // The failure is kept, and reported to those who need a key that is not known.
    const settled = refreshed.catch(() => {})
    if (ageMs > refreshBeforeUseAfterMs && !this.#failure) await settled
  }

  /** Joins the fetch under way, or begins one. Rejects at once for a moment after a failure. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #fetch(): Promise<void> {
    if (this.#failure && this.#sinceMs(this.#failure.atMs) < retryAfterMs) throw this.#failure.error
    const startedAtMs = this.#nowMs
    try {
      await this.#remote.reload()
    } catch (cause) {
      const error = new UnavailableError('Tokens cannot be verified at the moment. Try again.', { cause })
      this.#failure = { atMs: startedAtMs, error }
      throw error
    }
    this.#failure = undefined
    this.#fetchedAtMs = this.#nowMs
  }

  get #ageMs(): number {
    return this.#fetchedAtMs === undefined ? forever : this.#sinceMs(this.#fetchedAtMs)
  }

  get #nowMs(): number {
    return this.#options.clock.now().getTime()
  }

  /** A clock that was set back does not make anything younger than it is. */
  #sinceMs(atMs: number): number {
    const ms = this.#nowMs - atMs
    return ms < 0 ? forever : ms
  }
}
