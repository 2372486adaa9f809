import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quickestDatabase, startApp, type TestApp } from '../../support/app.ts'
import { MeteredKeys } from '../../support/metered-keys.ts'

const start = Date.parse('2026-11-15T12:00:00.000Z')
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)

const rates = fc.record({
  calls: fc.integer({ min: 1, max: 25 }),
  perSeconds: fc.integer({ min: 1, max: 40 }),
})

describe('a rate limit', () => {
  let app: TestApp
  let keys: MeteredKeys

  beforeAll(async () => {
    app = await startApp({ database: quickestDatabase })
    keys = new MeteredKeys(app)
  })
  afterAll(() => app.stop())

  /** Meters so many calls at each time, and returns how many are admitted each time. */
  async function admittedAt(
    rate: { calls: number; perSeconds: number },
    arrivals: { atMs: number; calls: number }[],
  ) {
    app.clock.freeze(new Date(start))
    const { secret } = await keys.key({ rateCalls: rate.calls, ratePerSeconds: rate.perSeconds })
    const admitted: { atMs: number; calls: number }[] = []
    for (const { atMs, calls } of arrivals) {
      app.clock.freeze(new Date(start + atMs))
      const decisions = await keys.meter(
        Array.from({ length: calls }, () => ({ secret, apiCall: 'v3.ping' })),
      )
      admitted.push({ atMs, calls: decisions.filter(({ code }) => code === 'ADMITTED').length })
    }
    return admitted
  }

  it('admits at most calls + calls × t / perSeconds in any window, and refuses no call that has room', async () => {
    const gaps = fc.array(
      fc.record({
        gapMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 60_000 })),
        calls: fc.integer({ min: 1, max: 30 }),
      }),
      { minLength: 1, maxLength: 12 },
    )
    const property = fc.asyncProperty(rates, gaps, async (rate, steps) => {
      let atMs = 0
      const arrivals = steps.map(({ gapMs, calls }) => {
        atMs += gapMs
        return { atMs, calls }
      })
      const admitted = await admittedAt(rate, arrivals)
      for (const [from, first] of admitted.entries()) {
        let sum = 0
        for (const { atMs: untilMs, calls } of admitted.slice(from)) {
          sum += calls
          expect(sum * rate.perSeconds * 1_000).toBeLessThanOrEqual(
            rate.calls * (rate.perSeconds * 1_000 + untilMs - first.atMs),
          )
        }
      }
      // An exact bucket, in units of which a call takes perSeconds × 1,000.
      const unit = rate.perSeconds * 1_000
      let [tokens, lastMs] = [rate.calls * unit, 0]
      for (const [index, arrival] of arrivals.entries()) {
        tokens = Math.min(rate.calls * unit, tokens + (arrival.atMs - lastMs) * rate.calls)
        lastMs = arrival.atMs
        const expected = Math.min(arrival.calls, Math.floor(tokens / unit))
        expect(admitted[index]?.calls).toBe(expected)
        tokens -= expected * unit
      }
    })
    await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 12), seed })
  })

  /** Asks for more than there is at each time, and expects that nothing was lost. */
  async function expectNothingLost(rate: { calls: number; perSeconds: number }, stepMs: number) {
    const arrivals = Array.from({ length: 12 }, (_, index) => ({ atMs: index * stepMs, calls: 60 }))
    let sum = 0
    for (const { atMs, calls } of await admittedAt(rate, arrivals)) {
      sum += calls
      expect(sum).toBeGreaterThan(rate.calls + (rate.calls * atMs) / (rate.perSeconds * 1_000) - 1)
    }
  }

  it('admits under endless demand never more than one call less than calls + calls × t / perSeconds', async () => {
    const several = rates.filter(({ calls }) => calls > 1)
    const property = fc.asyncProperty(several, fc.integer({ min: 1, max: 4_000 }), async (rate, stepMs) => {
      // After an arrival, less than a call is left. With longer steps, a bucket would overflow before the next one.
      const { calls, perSeconds } = rate
      await expectNothingLost(rate, Math.min(stepMs, Math.floor(((calls - 1) * perSeconds * 1_000) / calls)))
    })
    await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 6), seed })
  })

  it('admits one call at a time exactly when its time has come', async () => {
    const property = fc.asyncProperty(fc.integer({ min: 1, max: 40 }), async (perSeconds) => {
      await expectNothingLost({ calls: 1, perSeconds }, perSeconds * 250)
    })
    await fc.assert(property, { numRuns: Number(process.env.RUNS ?? 3), seed })
  })
})
