import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { ClockWatch } from '../../src/storage/clock-watch.ts'
import { TestClock } from '../support/clock.ts'
import { postgresUrl } from '../support/services.ts'

describe.runIf(inject('postgres'))("the watch over the server's clock", () => {
  // A minute passes in 10 ms.
  const clock = new TestClock(undefined, 6_000)
  let pool: pg.Pool
  let watch: ClockWatch
  let reports: [what: 'difference' | 'agreement', serverAheadMs: number][]
  let checks: number

  beforeEach(() => {
    clock.set(new Date())
    pool = new pg.Pool({ connectionString: postgresUrl, max: 1 })
    checks = 0
    pool.on('release', () => checks++)
    reports = []
    watch = new ClockWatch({
      pool,
      clock,
      onDifference: (aheadMs) => reports.push(['difference', aheadMs]),
      onAgreement: (aheadMs) => reports.push(['agreement', aheadMs]),
    })
  })
  afterEach(async () => {
    watch.stop()
    await pool.end()
  })

  const setAhead = (ms: number) => clock.set(new Date(Date.now() + ms))
  const someChecks = async () => {
    const before = checks
    await expect.poll(() => checks).toBeGreaterThan(before + 3)
  }

  it.each([
    ['ahead', 2_000],
    ['behind', -2_000],
  ])('reports at start that it is %s, by how much, and once', async (_, aheadMs) => {
    setAhead(aheadMs)
    await watch.start()
    expect(reports).toEqual([['difference', expect.closeTo(aheadMs, -3)]])
    await someChecks()
    expect(reports).toHaveLength(1)
  })

  it('reports when a difference begins, when it ends, and when it begins again', async () => {
    await watch.start()
    await someChecks()
    expect(reports).toEqual([])
    for (const aheadMs of [-3_600_000, 0, 5_000]) {
      setAhead(aheadMs)
      await someChecks()
    }
    expect(reports.map(([what]) => what)).toEqual(['difference', 'agreement', 'difference'])
    expect(reports[0]?.[1]).toBeCloseTo(-3_600_000, -3)
  })

  it('goes on after a time without the database, which is no difference', async () => {
    await watch.start()
    // In a failed transaction, the only connection fails every query.
    const failing = await pool.connect()
    await failing.query('begin')
    await failing.query('select 1 / 0').catch(() => {})
    failing.release()
    await someChecks()
    expect(reports).toEqual([])
    const mended = await pool.connect()
    await mended.query('rollback')
    mended.release()
    setAhead(2_000)
    await expect.poll(() => reports.map(([what]) => what)).toEqual(['difference'])
  })
})
