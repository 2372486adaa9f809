import type { Clock } from '../../clock.ts'
import { type Transitions, transition } from '../transitions.ts'
import type { Decision, LimitCode, MeteredCall } from './decision.ts'

/** One call in a batch, and where its answer goes. */
export interface WaitingCall extends MeteredCall {
  /** The limit in which earlier calls are known to leave no room for it; null while there is none. */
  refusal: LimitCode | null
  answer: (decision: Decision) => void
  fail: (error: unknown) => void
}

type BatchState = 'gathering' | 'committing' | 'ended'

const transitions: Transitions<BatchState> = {
  gathering: ['committing', 'ended'],
  committing: ['ended'],
  ended: [],
}

/**
 * Calls that are committed together, in one statement and one round trip.
 *
 *   gathering ──(a commit slot is free)──▶ committing ──(answered, failed or timed out)──▶ ended
 *       └──────────────────(timed out before it was sent)──────────────────────────────────▶ ended
 *
 * Its calls share one time limit, which starts with the first of them.
 */
export class Batch {
  readonly calls: WaitingCall[] = []
  readonly firstCallAtMs: number
  readonly #timeUp = new AbortController()
  readonly #cancelTimer: () => void
  #state: BatchState = 'gathering'

  /** @param timedOut is called when the time is up, unless the batch has ended by then */
  constructor(clock: Clock, timeoutMs: number, nowMs: number, timedOut: (batch: Batch) => void) {
    this.firstCallAtMs = nowMs
    this.#cancelTimer = clock.after(timeoutMs, () => {
      this.#timeUp.abort(new Error(`The database did not answer within ${timeoutMs} ms.`))
      timedOut(this)
    })
  }

  get state(): BatchState {
    return this.#state
  }

  /** Aborts when the time is up. */
  get timeUp(): AbortSignal {
    return this.#timeUp.signal
  }

  startCommit(): void {
    this.#enter('committing')
  }

  end(): void {
    this.#enter('ended')
    this.#cancelTimer()
  }

  #enter(next: BatchState): void {
    this.#state = transition(transitions, this.#state, next)
  }
}
