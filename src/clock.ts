/** Where the time comes from. Nothing in the domain asks the system for it. */
export interface Clock {
  /** The instant it is. */
  now(): Date
  /** Calls back once, at `instant` or as soon after it as possible. Returns what cancels that. */
  at(instant: Date, callback: () => void): () => void
  /** Calls back once, when `waitMs` have gone by, however the time is set meanwhile. Returns what cancels that. */
  after(waitMs: number, callback: () => void): () => void
}

/** setTimeout takes no more than 2^31 - 1 milliseconds (24.8 days) and would fire at once beyond that. */
const longestTimeoutMs = 2_147_483_647

/** The machine's own time. Its timers do not keep the process alive. */
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

/** Milliseconds that have passed since some instant, whatever is done to the system's clock. */
export const elapsedMs = (): number => performance.now()
