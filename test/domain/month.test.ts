import { describe, expect, it } from 'vitest'
import { addMonths, firstInstantOf, isMonth, monthOf, resetsAt } from '../../src/domain/month.ts'

describe('months', () => {
  it('change at 00:00:00 UTC on the 1st, whatever the machine’s time zone', () => {
    expect(monthOf(new Date('2026-12-31T23:59:59.999Z'))).toBe('2026-12')
    expect(monthOf(new Date('2027-01-01T00:00:00.000Z'))).toBe('2027-01')
    expect(monthOf(new Date('2026-12-31T23:00:00-05:00'))).toBe('2027-01')
    expect(firstInstantOf('2026-02').toISOString()).toBe('2026-02-01T00:00:00.000Z')
  })

  it('reset at the start of the next month', () => {
    expect(resetsAt('2026-12').toISOString()).toBe('2027-01-01T00:00:00.000Z')
    expect(resetsAt('2024-02').toISOString()).toBe('2024-03-01T00:00:00.000Z')
  })

  it('are added and subtracted across years', () => {
    expect(addMonths('2026-01', -1)).toBe('2025-12')
    expect(addMonths('2026-03', -15)).toBe('2024-12')
    expect(addMonths('2026-11', 2)).toBe('2027-01')
  })

  it.each(['2026-13', '2026-00', '2026-1', '26-01', '2026-01-01', ' 2026-01', '0000-01', '3000-01', ''])(
    'are not written %j',
    (text) => expect(isMonth(text)).toBe(false),
  )
})
