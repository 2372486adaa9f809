import { expect } from 'vitest'
import { digestOf } from '../../../src/domain/secret.ts'
import type { Outcome } from './gateway.ts'

/** Rows of the database, on a way that no fault is made on. */
export type Query = <Row extends Record<string, unknown>>(text: string) => Promise<Row[]>

/** Answers after which nobody knows whether the call was counted. */
const unknown = new Set(['UNAVAILABLE', 'no answer', 'hangs'])

/** What those who asked know of their calls, to hold what is stored to. */
export class Ledger {
  readonly outcomes: (Outcome & { secret: string })[] = []

  note(secret: string, outcome: Outcome): void {
    this.outcomes.push({ secret, ...outcome })
  }

  /** How many calls had this outcome, with a key or with all. */
  count(code: string, secret?: string): number {
    return this.outcomes.filter((outcome) => outcome.code === code && (!secret || outcome.secret === secret))
      .length
  }

  /** Every code that came, for messages and to expect it of. */
  get codes(): string[] {
    return [...new Set(this.outcomes.map(({ code }) => code))].toSorted()
  }

  get slowestMs(): number {
    return Math.max(0, ...this.outcomes.map(({ ms }) => ms))
  }

  /** G1: answered ≤ stored ≤ answered + unanswered, for each key; and accounts' counts are the sums of their keys'. */
  async expectTrueCounts(query: Query): Promise<void> {
    await expect.poll(() => busy(query), { timeout: 15_000 }).toBe(0)
    const rows = await query<{ digest: string; calls: string }>(
      `select encode(digest, 'hex') as digest, sum(api_key_usage.calls) as calls
       from api_key join api_key_usage on api_key_usage.api_key_id = api_key.id group by 1`,
    )
    const stored = new Map(rows.map(({ digest, calls }) => [digest, Number(calls)]))
    for (const secret of new Set(this.outcomes.map((outcome) => outcome.secret))) {
      const answered = this.count('ADMITTED', secret)
      const ofSecret = this.outcomes.filter((outcome) => outcome.secret === secret)
      const unanswered = ofSecret.filter(({ code }) => unknown.has(code)).length
      const calls = stored.get(Buffer.from(digestOf(secret)).toString('hex')) ?? 0
      expect(calls, 'stored, which must not be less than answered').toBeGreaterThanOrEqual(answered)
      expect(calls, 'stored, which must not be more than asked').toBeLessThanOrEqual(answered + unanswered)
    }
    const differences = await query(
      `select account_id from account_usage full join (
         select account_id, month, sum(calls) as of_keys
         from api_key_usage join api_key on api_key.id = api_key_id group by 1, 2
       ) as keys using (account_id, month)
       where calls is distinct from of_keys`,
    )
    expect(differences).toEqual([])
  }
}

/** Statements of Latchkey's that the database has not ended, though nobody may be waiting for them any more. */
async function busy(query: Query): Promise<number> {
  const [row] = await query<{ busy: number }>(
    `select count(*)::int as busy from pg_stat_activity
     where application_name = 'latchkey' and state <> 'idle' and datname = current_database()`,
  )
  return row?.busy ?? 0
}
