export interface LoadEstimateOptions {
  /** The most calls that may wait, whatever the estimate; bounds memory. */
  maxWaitingCalls: number
  /** The estimated wait, in milliseconds, at which the meter is full. */
  maxWaitMs: number
  /** This many calls may always wait: they fit into the commits that can be under way at once. */
  minWaitingCalls: number
  /** Smaller batches are ignored: their time says nothing about the server's throughput. */
  minBatchCalls: number
  /** A monotonic clock in milliseconds. */
  elapsed: () => number
}

/** The weight of the newest batch in the moving average. */
const newestWeight = 0.2

/**
 * Estimates how long a new call would wait for its answer: the number of calls waiting times an EWMA of milliseconds
 * per call.
 *
 *   open ──(the estimated wait reaches maxWaitMs)──▶ full
 *   full ──(half of the calls allowed to wait are left)──▶ open
 *
 * The gap between the two keeps the meter from refusing a call right after it told a caller that there was room.
 */
export class LoadEstimate {
  readonly #maxWaitingCalls: number
  readonly #maxWaitMs: number
  readonly #minWaitingCalls: number
  readonly #minBatchCalls: number
  readonly #elapsed: () => number
  #waitingCalls = 0
  #isFull = false
  /** 0 until a batch was large enough to measure. */
  #msPerCall = 0
  /** How many calls may wait at the current estimate. */
  #allowedCalls: number
  #lastBatchEndedAtMs = 0

  constructor({ maxWaitingCalls, maxWaitMs, minWaitingCalls, minBatchCalls, elapsed }: LoadEstimateOptions) {
    this.#maxWaitingCalls = maxWaitingCalls
    this.#maxWaitMs = maxWaitMs
    this.#minWaitingCalls = minWaitingCalls
    this.#minBatchCalls = minBatchCalls
    this.#elapsed = elapsed
    this.#allowedCalls = Math.max(minWaitingCalls, maxWaitingCalls)
  }

  get waitingCalls(): number {
    return this.#waitingCalls
  }

  get isFull(): boolean {
    return this.#isFull
  }

  callArrived(): void {
    this.#waitingCalls++
    if (this.#waitingCalls >= this.#allowedCalls) this.#isFull = true
  }

  callAnswered(): void {
    this.#waitingCalls--
    // The estimate may have risen since the last call arrived.
    this.#isFull =
      this.#waitingCalls >= this.#allowedCalls ||
      (this.#isFull && this.#waitingCalls > this.#allowedCalls / 2)
  }

  /**
   * Measures a committed batch by the time since the previous one ended, during which it waited: that includes
   * whatever else the server does, not just the commit.
   */
  batchCommitted(calls: number, firstCallAtMs: number): void {
    const now = this.#elapsed()
    if (calls >= this.#minBatchCalls) {
      const tookMs = now - Math.max(firstCallAtMs, this.#lastBatchEndedAtMs)
      this.#msPerCall += (tookMs / calls - this.#msPerCall) * newestWeight
      const inTime = Math.min(this.#maxWaitingCalls, this.#maxWaitMs / this.#msPerCall)
      this.#allowedCalls = Math.max(this.#minWaitingCalls, inTime)
    }
    this.#lastBatchEndedAtMs = now
  }

  /** A failed batch is not measured: its time is an outage's, not a call's. */
  batchFailed(): void {
    this.#lastBatchEndedAtMs = this.#elapsed()
  }
}
