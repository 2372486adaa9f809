import { expect } from 'vitest'
import { Gateway } from './gateway.ts'
import { Ledger } from './ledger.ts'

export interface LoadOptions {
  /** Asked for the server of the nth caller, whenever it connects. */
  urlOf: (caller: number) => string
  token: string
  secrets: readonly string[]
  callers?: number
}

/** Between two calls of one caller, so that a server that refuses at once is not asked in a circle. */
const pauseMs = 4

/** Callers that go on asking, whatever is answered, until they are told to stop. */
export class Load {
  readonly ledger = new Ledger()
  readonly #callers: Promise<void>
  readonly #gateways: Gateway[] = []
  /** The last code that each caller was answered with. */
  readonly #last: string[] = []
  #stopping = false

  constructor({ urlOf, token, secrets, callers = 12 }: LoadOptions) {
    const loops = Array.from({ length: callers }, async (_, index) => {
      const gateway = new Gateway(() => urlOf(index), token)
      this.#gateways.push(gateway)
      for (let turn = index; !this.#stopping; turn++) {
        const secret = secrets[turn % secrets.length] as string
        const outcome = await gateway.call(secret)
        this.ledger.note(secret, outcome)
        this.#last[index] = outcome.code
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    })
    this.#callers = Promise.all(loops).then(() => {})
  }

  /** Resolves when this many more calls have been answered so; to how long that took. */
  async sees(code: string, times = 1, withinMs = 10_000): Promise<number> {
    const startedAt = performance.now()
    const enough = this.ledger.count(code) + times
    await expect
      .poll(() => this.ledger.count(code) >= enough, {
        timeout: withinMs,
        interval: 10,
        message: `${times} × ${code}; there were ${this.ledger.codes}`,
      })
      .toBe(true)
    return performance.now() - startedAt
  }

  /** Resolves when every caller, hence every server, is answered so from now on; to how long that took. */
  async allSee(code: string, withinMs = 10_000): Promise<number> {
    const startedAt = performance.now()
    this.#last.fill('nothing yet')
    await expect
      .poll(() => this.#last.filter((last) => last !== code), { timeout: withinMs, interval: 10 })
      .toEqual([])
    return performance.now() - startedAt
  }

  /** Resolves when every call is answered, or known not to be. */
  async stop(): Promise<Ledger> {
    this.#stopping = true
    await this.#callers
    for (const gateway of this.#gateways) await gateway.close()
    return this.ledger
  }
}
