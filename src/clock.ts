/** The source of time. The domain never reads the system's clock directly. */
export interface Clock {
  /** The current time. */
  now(): Date
  /** Calls back once, at `instant` or as soon as possible after it. Returns a function that cancels the call. */
  at(instant: Date, callback: () => void): () => void
  /** Calls back once, after `waitMs`, even if the clock is set meanwhile. Returns a function that cancels the call. */
  after(waitMs: number, callback: () => void): () => void
}

/** The longest delay of setTimeout, 2^31 - 1 ms (24.8 days). With a longer one it fires at once. */
const longestTimeoutMs = 2_147_483_647

/** The system's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => new Date(),
  at(instant, callback) {
    let timer: NodeJS.Timeout
    const arm = () => {
      const waitMs = instant.getTime() - Date.now()
      timer =
        waitMs > longestTimeoutMs
          ? setTimeout(arm, longestTimeoutMs)
          : setTimeout(callback, Math.max(0, waitMs))
      timer.unref()
    }
    arm()
    return () => clearTimeout(timer)
  },
  after(waitMs, callback) {
    const timer = setTimeout(callback, waitMs).unref()
    return () => clearTimeout(timer)
  },
}

/** Milliseconds since an arbitrary moment. Monotonic: unaffected by changes to the system's clock. */
export const elapsedMs = (): number => performance.now()
