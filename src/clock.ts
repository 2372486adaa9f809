/** The source of time. The domain never reads the system's clock directly. */
export interface Clock {
  /** The current time. */
  now(): Date
  /**
   * Calls back once, at `instant` or as soon as possible after it, never before. If the clock is set, or the machine
   * slept, beyond the instant, that is noticed within a second. Returns a function that cancels the call.
   */
  at(instant: Date, callback: () => void): () => void
  /**
   * Calls back once, after `waitMs`, even if the clock is set meanwhile. Like every timer it may be late, and up to 1 ms
   * early. Returns a function that cancels the call.
   */
  after(waitMs: number, callback: () => void): () => void
}

/** What a clock is made of. Tests replace it. */
export interface ClockParts {
  /** Milliseconds since the epoch, as the machine's clock is set at the moment. */
  wallMs: () => number
  /** Calls back after about `waitMs`. Returns a function that cancels the call. */
  startTimer: (waitMs: number, callback: () => void) => () => void
}

/** Timers are measured on the monotonic clock, which drifts from the wall clock, so long waits are split. */
const longestWaitMs = 3_600_000

/** How often the wall clock is compared with the monotonic clock while there are alarms. */
const compareEveryMs = 500

/** By how much the two may drift apart until waits are computed anew. */
const toleratedDriftMs = 100

/** Does not keep the process alive. */
function startSystemTimer(waitMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, waitMs).unref()
  return () => clearTimeout(timer)
}

/** The system's clock. Its timers do not keep the process alive. */
export function createSystemClock(parts: Partial<ClockParts> = {}): Clock {
  const { wallMs = Date.now, startTimer = startSystemTimer } = parts
  const alarms = new Alarms({ wallMs, startTimer })
  return {
    now: () => new Date(wallMs()),
    at: (instant, callback) => alarms.set(instant.getTime(), callback),
    after: startTimer,
  }
}

interface Alarm {
  atMs: number
  callback: () => void
  cancelTimer: () => void
}

/**
 * Callbacks at instants of the wall clock. Each has a timer. One more timer, shared by all, compares the clocks, and
 * restarts the timers after the wall clock was set or the machine slept.
 */
class Alarms {
  readonly #parts: ClockParts
  readonly #pending = new Set<Alarm>()
  #cancelComparison: (() => void) | undefined
  /** The wall clock less the monotonic clock, when the timers were last started. */
  #offsetMs = 0

  constructor(parts: ClockParts) {
    this.#parts = parts
  }

  set(atMs: number, callback: () => void): () => void {
    const alarm: Alarm = { atMs, callback, cancelTimer: () => {} }
    this.#pending.add(alarm)
    this.#start(alarm)
    if (!this.#cancelComparison) {
      this.#offsetMs = this.#currentOffsetMs()
      this.#compareLater()
    }
    return () => {
      alarm.cancelTimer()
      this.#pending.delete(alarm)
      this.#endIfIdle()
    }
  }

  #start(alarm: Alarm): void {
    alarm.cancelTimer()
    const waitMs = Math.max(0, Math.min(alarm.atMs - this.#parts.wallMs(), longestWaitMs))
    alarm.cancelTimer = this.#parts.startTimer(waitMs, () => this.#expire(alarm))
  }

  /** A timer may have fired early, was only a part of the wait, or the clock was set back. */
  #expire(alarm: Alarm): void {
    if (this.#parts.wallMs() < alarm.atMs) {
      this.#start(alarm)
      return
    }
    this.#pending.delete(alarm)
    this.#endIfIdle()
    alarm.callback()
  }

  #endIfIdle(): void {
    if (this.#pending.size > 0) return
    this.#cancelComparison?.()
    this.#cancelComparison = undefined
  }

  #compareLater(): void {
    this.#cancelComparison = this.#parts.startTimer(compareEveryMs, () => {
      this.#compareLater()
      const offsetMs = this.#currentOffsetMs()
      if (Math.abs(offsetMs - this.#offsetMs) <= toleratedDriftMs) return
      this.#offsetMs = offsetMs
      for (const alarm of this.#pending) this.#start(alarm)
    })
  }

  #currentOffsetMs(): number {
    return this.#parts.wallMs() - elapsedMs()
  }
}

/** Milliseconds since an arbitrary moment. Monotonic: unaffected by changes to the system's clock. */
export const elapsedMs = (): number => performance.now()
