import { type Clock, elapsedMs } from '../../clock.ts'
import { OverloadedError, UnavailableError } from '../../errors.ts'
import { canBeApiCallName } from '../catalogue.ts'
import { type Month, monthOf } from '../month.ts'
import { isWellFormedSecret } from '../secret.ts'
import { answerCalls, groupCalls, type WaitingCall } from './batch.ts'
import type { Decision, MeteredCall } from './decision.ts'
import type { Charge, UsageStore } from './usage-store.ts'

export interface MeterOptions {
  store: UsageStore
  clock: Clock
  /** Told what each commit counted, after it. */
  counted: (month: Month, at: Date, charge: Charge) => void
  /** Told of a commit that failed, and may nevertheless have counted. */
  uncertain: () => void
  /** Every call is answered within this long. */
  timeoutMs: number
  /** Commits that may be under way at the same time, where they are slow or many calls wait. */
  maxCommits?: number
  /** A batch that holds this many calls takes no further request. */
  maxBatchCalls?: number
  /** Calls waiting for an answer; beyond it they are refused at once. What they take of the memory. */
  maxWaitingCalls?: number
  /** How long a call may have to wait for its answer by the look of it; beyond it calls are refused at once. */
  maxWaitMs?: number
  /** Milliseconds since whenever; only differences count. */
  elapsed?: () => number
}

/** What the newest batch weighs in what a call has taken of late. */
const newestShare = 0.2

/** A commit that takes this long is slow, and another may begin beside it. */
const slowCommitMs = 10
/** A batch of this many calls costs hardly less a call when it grows, and may be committed beside another. */
const manyCalls = 128

/** Calls that are committed together, and given up together when the first of them has waited its time. */
interface Batch {
  calls: WaitingCall[]
  /** When its first call came. */
  sinceMs: number
  timeUp: AbortController
  cancelTimer: () => void
}

/**
 * Decides and counts calls by group commit.
 *
 *   gathering ──(a commit slot is free)──▶ committing ──▶ answered
 *       ▲                                      │
 *       └── the next batch fills meanwhile     └──(some exceed a quota)──▶ committing, with those that fit
 *
 *   gathering or committing ──(its time is up)──▶ answered UNAVAILABLE, or OVERLOADED where others are committed;
 *                                                 a commit that hangs frees its slot
 *
 * A call is answered from what was committed, never before, and nothing about a key is kept between batches:
 * that is what makes admission exact and revocation immediate, on any number of servers.
 */
export class Meter {
  readonly #store: UsageStore
  readonly #clock: Clock
  readonly #counted: MeterOptions['counted']
  readonly #uncertain: MeterOptions['uncertain']
  readonly #timeoutMs: number
  readonly #maxCommits: number
  readonly #maxBatchCalls: number
  readonly #maxWaitingCalls: number
  readonly #maxWaitMs: number
  readonly #elapsed: () => number
  /** Batches that are yet to be committed, oldest first; the last one is gathering. */
  #batches: Batch[] = []
  #waitingCalls = 0
  #isFull = false
  /** When each commit that is under way began, oldest first. */
  #commits: number[] = []
  /** What a call has taken of late, when there were many. */
  #msPerCall = 0
  /** When a commit has last ended, whichever way. */
  #endedAtMs = 0
  /** When the database has last answered. */
  #answeredAtMs = 0
  #scheduled = false
  #looksAgain = false
  #stopping: (() => void) | undefined
  #stopped: Promise<void> | undefined

  constructor({
    store,
    clock,
    counted,
    uncertain,
    timeoutMs,
    maxCommits = 2,
    maxBatchCalls = 512,
    maxWaitingCalls = 20_000,
    maxWaitMs = 1_000,
    elapsed = elapsedMs,
  }: MeterOptions) {
    this.#store = store
    this.#clock = clock
    this.#counted = counted
    this.#uncertain = uncertain
    this.#timeoutMs = timeoutMs
    this.#maxCommits = maxCommits
    this.#maxBatchCalls = maxBatchCalls
    this.#maxWaitingCalls = maxWaitingCalls
    this.#maxWaitMs = maxWaitMs
    this.#elapsed = elapsed
  }

  /**
   * Decides one request's calls, and counts those that it admits. They share a batch, so that they are
   * committed together or not at all (but for those that meet the end of a quota).
   * @returns the decisions, in the calls' order
   * @throws OverloadedError (nothing was counted), UnavailableError (some may have been counted)
   */
  async admit(calls: readonly MeteredCall[]): Promise<Decision[]> {
    if (this.#stopped) throw new UnavailableError('The server is shutting down.')
    if (this.#waitingCalls + calls.length > this.#maxWaitingCalls || this.isFull)
      throw new OverloadedError('Too many calls are waiting. Try again in a moment.')
    const batch = this.#gathering()
    const decisions = calls.map((call) =>
      isWellFormedSecret(call.secret) ? this.#join(batch, call) : ({ code: 'KEY_INVALID' } as const),
    )
    return await Promise.all(decisions)
  }

  /** Takes no further calls, and resolves when every one taken is answered. Harmless when called again. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      if (this.#waitingCalls === 0) resolve()
      else this.#stopping = resolve
    })
    return this.#stopped
  }

  /**
   * Whether a call would be refused now: because it would wait too long, by what calls have taken of late when there
   * were many. As many as can be committed at once may always wait.
   */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Full until half of what waits is answered: who asks before sending should not find it full again by then. */
  #noteWaiting(change: number): void {
    this.#waitingCalls += change
    const mostInTime = Math.min(this.#maxWaitingCalls, this.#maxWaitMs / this.#msPerCall)
    const most = Math.max(this.#maxCommits * this.#maxBatchCalls, mostInTime)
    if (this.#waitingCalls >= most) this.#isFull = true
    else if (this.#waitingCalls <= most / 2) this.#isFull = false
  }

  #gathering(): Batch {
    const last = this.#batches.at(-1)
    if (last && last.calls.length < this.#maxBatchCalls) return last
    const next: Batch = {
      calls: [],
      sinceMs: this.#elapsed(),
      timeUp: new AbortController(),
      cancelTimer: () => {},
    }
    this.#batches.push(next)
    return next
  }

  /** Whatever the database does, the calls of a batch do not wait for it any longer. */
  #giveUp(batch: Batch): void {
    batch.timeUp.abort(new Error(`The database did not answer within ${this.#timeoutMs} ms.`))
    const place = this.#batches.indexOf(batch)
    // What is being committed ends by the signal.
    if (place === -1) return
    this.#batches.splice(place, 1)
    const answersAgoMs = this.#clock.now().getTime() - this.#answeredAtMs
    const error =
      answersAgoMs < this.#timeoutMs / 2
        ? new OverloadedError('More calls arrive than the database takes. The call was not counted.')
        : new UnavailableError('The database does not answer. The call was not counted.', {
            cause: batch.timeUp.signal.reason,
          })
    for (const call of batch.calls) call.fail(error)
  }

  #join(batch: Batch, { secret, apiCall }: MeteredCall): Promise<Decision> {
    this.#noteWaiting(1)
    if (batch.calls.length === 0)
      batch.cancelTimer = this.#clock.after(this.#timeoutMs, () => this.#giveUp(batch))
    const waiting = new Promise<Decision>((answer, fail) => {
      // A name that cannot be in the catalogue is not sent to the database, which would refuse some of them
      // together with everyone else's calls in the batch; no API call has the empty name.
      batch.calls.push({
        secret,
        apiCall: canBeApiCallName(apiCall) ? apiCall : '',
        fits: true,
        answer,
        fail,
      })
    })
    this.#schedule()
    return waiting.finally(() => {
      this.#noteWaiting(-1)
      if (this.#waitingCalls === 0) this.#stopping?.()
    })
  }

  /**
   * Few calls wait for the commit that is under way: one at a time makes larger batches, which cost less a call, and
   * none that waits for rows of another. Many calls, and those behind a slow commit, do not wait for it.
   */
  get #mayCommit(): boolean {
    const [oldest] = this.#commits
    if (oldest === undefined) return true
    if (this.#commits.length >= this.#maxCommits) return false
    return (this.#batches[0]?.calls.length ?? 0) >= manyCalls || this.#elapsed() - oldest >= slowCommitMs
  }

  /** Commits begin at the end of the current turn of the event loop, so that all that arrive in it share one. */
  #schedule(): void {
    if (this.#scheduled) return
    if (!this.#mayCommit) {
      this.#lookAgain()
      return
    }
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#mayCommit && this.#batches[0]?.calls.length) {
        const batch = this.#batches.shift() as Batch
        const startedAt = this.#elapsed()
        this.#commits.push(startedAt)
        void this.#commit(batch).finally(() => {
          this.#commits.splice(this.#commits.indexOf(startedAt), 1)
          if (this.#batches[0]?.calls.length) this.#schedule()
        })
      }
    })
  }

  /** When the commit under way has become slow, if it has: until then no further call may come. */
  #lookAgain(): void {
    if (this.#looksAgain || this.#commits.length >= this.#maxCommits) return
    this.#looksAgain = true
    this.#clock.after(slowCommitMs, () => {
      this.#looksAgain = false
      if (this.#batches[0]?.calls.length) this.#schedule()
    })
  }

  async #commit(batch: Batch): Promise<void> {
    let { calls } = batch
    try {
      // Each further round asks only for what still fitted a quota when it was read. Quotas only fill up, so
      // the rounds end.
      while (calls.length > 0) calls = await this.#charge(calls, batch.timeUp.signal)
      this.#learn(batch)
    } catch (cause) {
      const error = new UnavailableError('The call could not be counted for sure. It may have been.', {
        cause,
      })
      for (const call of calls) call.fail(error)
      this.#uncertain()
    } finally {
      this.#endedAtMs = this.#elapsed()
      batch.cancelTimer()
    }
  }

  /**
   * What a call takes of the whole server, when there are many: the time from one batch's end to the next one's, which
   * was waiting then. Batches of a few calls say nothing about it.
   */
  #learn({ calls, sinceMs }: Batch): void {
    if (calls.length < this.#maxBatchCalls / 2) return
    const tookMs = this.#elapsed() - Math.max(sinceMs, this.#endedAtMs)
    this.#msPerCall += (tookMs / calls.length - this.#msPerCall) * newestShare
  }

  /** Charges the calls and answers them; returns those to be tried again because not all of theirs fitted. */
  async #charge(calls: WaitingCall[], timeUp: AbortSignal): Promise<WaitingCall[]> {
    const { groups, groupOf } = groupCalls(calls)
    const at = this.#clock.now()
    const month = monthOf(at)
    const charge = await this.#store.charge(month, at, groups, timeUp)
    this.#answeredAtMs = this.#clock.now().getTime()
    const again = answerCalls(calls, groups, groupOf, charge, month)
    this.#counted(month, at, charge)
    return again
  }
}
