import type { Clock } from '../../clock.ts'
import { fixedLimits } from '../../limits.ts'

/**
 * Ids count for 24 hours. They are kept for an hour longer: a server whose clock is ahead must not remove what still counts
 * by the clock of another.
 */
const keptMs = 25 * 3_600_000

export interface RequestIdStore {
  /**
   * Removes up to `most` ids of calls from before an instant, unless another server is at it. Returns how many.
   */
  forgetRequests(before: Date, most: number): Promise<number>
}

export interface RequestPurgeOptions {
  store: RequestIdStore
  clock: Clock
  /** Called when the ids could not be removed. They are then removed a minute later. */
  onError: (error: unknown) => void
}

/** Removes ids that are no longer looked at, in small steps. They decide nothing: that it is late only takes space. */
export class RequestPurge {
  readonly #options: RequestPurgeOptions
  #cancel = () => {}
  #stopped = false
  #step: Promise<void> = Promise.resolve()

  constructor(options: RequestPurgeOptions) {
    this.#options = options
    this.#schedule(fixedLimits.forgetRequestsEveryMs)
  }

  /** Resolves when nothing of it is under way. May be called more than once. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel()
    await this.#step
  }

  #schedule(waitMs: number): void {
    if (this.#stopped) return
    this.#cancel = this.#options.clock.after(waitMs, () => {
      this.#step = this.#purge()
    })
  }

  /** After a full step there are probably more. The pause leaves the database to others for half of the time. */
  async #purge(): Promise<void> {
    const { store, clock, onError } = this.#options
    const { forgottenRequests, forgetRequestsEveryMs } = fixedLimits
    const startedAtMs = clock.now().getTime()
    try {
      const before = new Date(startedAtMs - keptMs)
      const removed = await store.forgetRequests(before, forgottenRequests)
      const tookMs = Math.max(1, clock.now().getTime() - startedAtMs)
      this.#schedule(
        removed < forgottenRequests ? forgetRequestsEveryMs : Math.min(tookMs, forgetRequestsEveryMs),
      )
    } catch (error) {
      onError(error)
      this.#schedule(forgetRequestsEveryMs)
    }
  }
}
