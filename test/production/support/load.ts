import { expect } from 'vitest'
import { Gateway } from './gateway.ts'
import { Ledger } from './ledger.ts'

export interface LoadOptions {
  /** The server of the nth caller, called for each connection. */
  urlOf: (caller: number) => string
  token: string
  secrets: readonly string[]
  callers?: number
}

/** Between two calls of one caller, so that a server that refuses at once does not cause a busy loop. */
const pauseMs = 4

/** Callers that keep calling, whatever the answers, until they are stopped. */
export class Load {
  readonly ledger = new Ledger()
  readonly #callers: Promise<void>
  readonly #gateways: Gateway[] = []
  /** The latest code that each caller received. */
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

  /** Resolves to how long it took until this many more calls had this outcome. */
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

  /** Resolves to how long it took until every caller, hence every server, had this outcome. */
  async allSee(code: string, withinMs = 10_000): Promise<number> {
    const startedAt = performance.now()
    this.#last.fill('nothing yet')
    await expect
      .poll(() => this.#last.filter((last) => last !== code), { timeout: withinMs, interval: 10 })
      .toEqual([])
    return performance.now() - startedAt
  }

  /** Resolves when every call has an outcome. */
  async stop(): Promise<Ledger> {
    this.#stopping = true
    await this.#callers
    for (const gateway of this.#gateways) await gateway.close()
    return this.ledger
  }
}
