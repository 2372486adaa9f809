import { describe, expect, it, vi } from 'vitest'
import { createSystemClock } from '../src/clock.ts'
import { TestClock } from './support/clock.ts'

/** The system's clock with a wall clock that can be set, and the timers that it started. */
function settableClock() {
  let offsetMs = 0
  const waitsMs: number[] = []
  const clock = createSystemClock({
    wallMs: () => Date.now() + offsetMs,
    startTimer(waitMs, callback) {
      waitsMs.push(waitMs)
      const timer = setTimeout(callback, waitMs)
      return () => clearTimeout(timer)
    },
  })
  const step = (ms: number) => {
    offsetMs += ms
  }
  return { clock, step, waitsMs }
}

/** Within a second; the rest is for a slow machine. */
const withinASecond = { timeout: 3_000, interval: 10 }

describe.each([
  ['system', () => createSystemClock()],
  ['test', () => new TestClock()],
])('the %s clock', (_, create) => {
  it('never calls back before the instant', async () => {
    const clock = create()
    const startMs = Date.now()
    const early = await Promise.all(
      Array.from({ length: 500 }, (_, i) => {
        const instant = new Date(startMs + i)
        return new Promise<boolean>((resolve) => clock.at(instant, () => resolve(clock.now() < instant)))
      }),
    )
    expect(early.filter(Boolean)).toHaveLength(0)
  })

  it('does not call back after it was cancelled', async () => {
    const clock = create()
    let called = false
    const cancel = clock.at(new Date(Date.now() + 20), () => {
      called = true
    })
    cancel()
    cancel()
    await new Promise<void>((resolve) => clock.at(new Date(Date.now() + 60), resolve))
    expect(called).toBe(false)
  })
})

describe('the system clock', () => {
  it('calls back within a second when the clock is set, or the machine slept, beyond the instant', async () => {
    const { clock, step } = settableClock()
    const called = vi.fn()
    clock.at(new Date(Date.now() + 40 * 86_400_000), called)
    step(40 * 86_400_000)
    await vi.waitFor(() => expect(called).toHaveBeenCalledOnce(), withinASecond)
  })

  it('waits for the instant when the clock is set back', async () => {
    const { clock, step } = settableClock()
    const called = vi.fn()
    const passed = vi.fn()
    clock.at(new Date(Date.now() + 20), called)
    step(-20_000)
    clock.after(700, passed)
    await vi.waitFor(() => expect(passed).toHaveBeenCalled(), withinASecond)
    expect(called).not.toHaveBeenCalled()
    step(20_000)
    await vi.waitFor(() => expect(called).toHaveBeenCalledOnce(), withinASecond)
  })

  it('checks a distant instant at least hourly, and compares the clocks with one timer for all instants', () => {
    const { clock, waitsMs } = settableClock()
    const cancels = Array.from({ length: 100 }, () => clock.at(new Date('2999-01-01'), () => {}))
    expect(Math.max(...waitsMs)).toBe(3_600_000)
    expect(waitsMs.filter((waitMs) => waitMs <= 1_000)).toHaveLength(1)
    for (const cancel of cancels) cancel()
  })

  it('compares the clocks only while somebody waits for an instant', async () => {
    vi.useFakeTimers()
    try {
      const clock = createSystemClock()
      const cancel = clock.at(new Date(Date.now() + 86_400_000), () => {})
      clock.at(new Date(Date.now() + 10), () => {})
      await vi.advanceTimersByTimeAsync(5_000)
      expect(vi.getTimerCount()).toBe(2)
      cancel()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
