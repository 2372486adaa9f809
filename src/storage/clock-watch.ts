import type { Pool } from 'pg'
import type { Clock } from '../clock.ts'

export interface ClockWatchOptions {
  /** Its connections may be busy: a check may wait. */
  pool: Pool
  clock: Clock
  /** Called when a difference begins; `serverAheadMs` is negative if the server's clock is behind. */
  onDifference: (serverAheadMs: number) => void
  /** Called when it ends. */
  onAgreement: (serverAheadMs: number) => void
}

const checkEveryMs = 60_000

/** A larger difference is reported. */
const toleratedMs = 1_000

/**
 * Compares the server's clock with the database's, once a minute. Months and the expiry of tokens follow the servers'
 * clocks, and the database's stands for those of the other servers.
 */
export class ClockWatch {
  readonly #options: ClockWatchOptions
  #differs = false
  #stopped = false
  #cancelCheck = () => {}

  constructor(options: ClockWatchOptions) {
    this.#options = options
  }

  /** Resolves after the first comparison. */
  async start(): Promise<void> {
    await this.#compare()
    if (this.#stopped) return
    this.#cancelCheck = this.#options.clock.after(checkEveryMs, () => void this.start())
  }

  /** Harmless when called again. */
  stop(): void {
    this.#stopped = true
    this.#cancelCheck()
  }

  async #compare(): Promise<void> {
    const { onDifference, onAgreement } = this.#options
    const serverAheadMs = await this.#readDifference()
    if (serverAheadMs === undefined || this.#stopped) return
    const differs = Math.abs(serverAheadMs) > toleratedMs
    if (differs === this.#differs) return
    this.#differs = differs
    if (differs) onDifference(serverAheadMs)
    else onAgreement(serverAheadMs)
  }

  /** The least difference that the time of the query allows. Undefined if the database does not answer. */
  async #readDifference(): Promise<number | undefined> {
    const { pool, clock } = this.#options
    try {
      const client = await pool.connect()
      try {
        const sentAtMs = clock.now().getTime()
        const { rows } = await client.query<{ ms: number }>(
          'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
        )
        const databaseMs = Math.round(rows[0]?.ms ?? Number.NaN)
        return Math.max(0, sentAtMs - databaseMs) + Math.min(0, clock.now().getTime() - databaseMs)
      } finally {
        client.release()
      }
    } catch {
      // Whatever needs the database reports it.
      return undefined
    }
  }
}
