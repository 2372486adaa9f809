import { expect } from 'vitest'
import { digestOf } from '../../../src/domain/secret.ts'
import type { Outcome } from './gateway.ts'

/** Queries the database over a connection that no fault affects. */
export type Query = <Row extends Record<string, unknown>>(text: string) => Promise<Row[]>

/** Outcomes that leave a call in doubt: it may have been counted. */
const unknown = new Set(['UNAVAILABLE', 'no answer', 'hangs'])

/** What callers know of their calls, to compare with what is stored. */
export class Ledger {
  readonly outcomes: (Outcome & { secret: string })[] = []

  note(secret: string, outcome: Outcome): void {
    this.outcomes.push({ secret, ...outcome })
  }

  /** How many calls had this outcome, of one key or of all. */
  count(code: string, secret?: string): number {
    return this.outcomes.filter((outcome) => outcome.code === code && (!secret || outcome.secret === secret))
      .length
  }

  /** Every code that occurred. */
  get codes(): string[] {
    return [...new Set(this.outcomes.map(({ code }) => code))].toSorted()
  }

  get slowestMs(): number {
    return Math.max(0, ...this.outcomes.map(({ ms }) => ms))
  }

  /** G1: answered ≤ stored ≤ answered + in doubt, for each key; and each account's count is the sum of its keys'. */
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
      expect(calls, 'stored calls, at least those answered').toBeGreaterThanOrEqual(answered)
      expect(calls, 'stored calls, at most those answered and in doubt').toBeLessThanOrEqual(
        answered + unanswered,
      )
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

/** How many of Latchkey's statements the database is still executing, even if nobody waits for them. */
async function busy(query: Query): Promise<number> {
  const [row] = await query<{ busy: number }>(
    `select count(*)::int as busy from pg_stat_activity
     where application_name = 'latchkey' and state <> 'idle' and datname = current_database()`,
  )
  return row?.busy ?? 0
}
