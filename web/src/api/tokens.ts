/** Where the host page gives the customer's token: a string, or a promise of one. */
export type GetToken = () => string | Promise<string>

/** The host page gave no token: there is nobody to speak for. */
export class SignedOutError extends Error {
  override readonly name = 'SignedOutError'
}

/** A token is replaced this long before it ends, or a tenth of its life before where that is shorter. */
const earlyMs = 30_000
/** A token that seems to be at its end when it comes is used all the same: this machine's clock may be wrong. */
const leastUseMs = 5_000
/** Browsers take longer timeouts for none at all. */
const longestTimeoutMs = 2 ** 31 - 1

/** The token in use. It is kept in memory alone. */
export class Tokens {
  /** Called when the token in use was replaced because its end was near. */
  onReplaced: () => void = () => {}

  readonly #getToken: GetToken
  #token: string | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #asked: Promise<string> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(getToken: GetToken) {
    this.#getToken = getToken
  }

  /** The token in use; empty before the first has come. */
  get current(): string {
    return this.#token ?? ''
  }

  /** Whether the next request should wait for another token. */
  get isDue(): boolean {
    return this.#token === undefined || Date.now() >= this.#dueAt
  }

  /** A token that is good for a while. @throws SignedOutError */
  async get(): Promise<string> {
    return this.#token !== undefined && !this.isDue ? this.#token : await this.renew()
  }

  /** Another token, for instance after this one was refused. @throws SignedOutError */
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
      // So fetch says that the network failed, which need not be for long.
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
      // Where there is none to be had now, the next request asks again, and says so.
      this.renew().then(
        () => this.onReplaced(),
        () => {},
      )
    }, wait)
  }
}

/** When to ask for the next token, in milliseconds since 1970. Nothing but `exp` and `iat` is read of a token. */
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
