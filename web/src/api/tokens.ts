/** The host page's function that returns the customer's token: a string, or a promise of one. */
export type GetToken = () => string | Promise<string>

/** The host page provided no token: the customer is signed out. */
export class SignedOutError extends Error {
  override readonly name = 'SignedOutError'
}

/** A token is replaced this long before it expires, or after 90% of its lifetime if that is later. */
const earlyMs = 30_000
/** A token that seems to be expired on arrival is used anyway: this machine's clock may be wrong. */
const leastUseMs = 5_000
/** With a longer delay, setTimeout fires at once. */
const longestTimeoutMs = 2 ** 31 - 1

/** Holds the current token, in memory only. */
export class Tokens {
  /** Called after the token was replaced because it was about to expire. */
  onReplaced: () => void = () => {}

  readonly #getToken: GetToken
  #token: string | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #asked: Promise<string> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(getToken: GetToken) {
    this.#getToken = getToken
  }

  /** The current token; empty before the first one arrives. */
  get current(): string {
    return this.#token ?? ''
  }

  /** Whether the next request should wait for a new token. */
  get isDue(): boolean {
    return this.#token === undefined || Date.now() >= this.#dueAt
  }

  /** A token that is valid for a while. @throws SignedOutError */
  async get(): Promise<string> {
    return this.#token !== undefined && !this.isDue ? this.#token : await this.renew()
  }

  /** A new token, for instance after the current one was refused. @throws SignedOutError */
  renew(): Promise<string> {
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined
    })
    return this.#asked
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  async #ask(): Promise<string> {
    let token: string
    try {
      token = await this.#getToken()
    } catch (error) {
      // How fetch reports a network failure, which may be temporary.
      if (error instanceof TypeError) throw error
      throw new SignedOutError(error instanceof Error ? error.message : String(error), { cause: error })
    }
    if (typeof token !== 'string' || token === '') throw new SignedOutError('There was no token.')
    this.#token = token
    this.#dueAt = dueAtOf(token)
    this.#replaceWhenDue()
    return token
  }

  #replaceWhenDue(): void {
    clearTimeout(this.#timer)
    if (this.#dueAt === Number.POSITIVE_INFINITY) return
    const wait = Math.min(Math.max(this.#dueAt - Date.now(), 0), longestTimeoutMs)
    this.#timer = setTimeout(() => {
      if (!this.isDue) return this.#replaceWhenDue()
      // On failure, the next request tries again and reports it.
      this.renew().then(
        () => this.onReplaced(),
        () => {},
      )
    }, wait)
  }
}

/** When to request the next token, in milliseconds since 1970. Reads only `exp` and `iat` from the token. */
function dueAtOf(token: string): number {
  const { exp, iat } = claimsOf(token)
  if (typeof exp !== 'number') return Number.POSITIVE_INFINITY
  const lifetimeMs = typeof iat === 'number' ? (exp - iat) * 1_000 : Number.POSITIVE_INFINITY
  return Math.max(exp * 1_000 - Math.min(earlyMs, lifetimeMs / 10), Date.now() + leastUseMs)
}

function claimsOf(token: string): { exp?: unknown; iat?: unknown } {
  try {
    const payload = token.split('.')[1] ?? ''
    return JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) ?? {}
  } catch {
    return {}
  }
}
