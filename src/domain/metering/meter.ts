import { type Clock, elapsedMs } from '../../clock.ts'
import { OverloadedError, UnavailableError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { canBeApiCallName } from '../catalogue.ts'
import { type Month, monthOf } from '../month.ts'
import { mayBeSecret } from '../secret.ts'
import { type Transitions, transition } from '../transitions.ts'
import { answerCalls } from './answers.ts'
import { Batch, type WaitingCall } from './batch.ts'
import { groupCalls } from './call-groups.ts'
import { CommitSlots } from './commit-slots.ts'
import type { Decision, MeteredCall } from './decision.ts'
import { DetailHints } from './detail-hints.ts'
import { LoadEstimate } from './load-estimate.ts'
import { type Charge, NothingChargedError, type UsageStore } from './usage-store.ts'

export interface MeterOptions {
  store: UsageStore
  clock: Clock
  /** What secrets are issued with. */
  prefix: string
  /** Called after each commit with what it counted. */
  counted: (month: Month, at: Date, charge: Charge) => void
  /** Called when a commit failed and may have counted its calls all the same. */
  inDoubt: () => void
  /** Every call is answered within this many milliseconds. */
  timeoutMs: number
  /** How many commits may be under way at once. */
  maxCommits?: number
  /** A batch with this many calls takes no further request. */
  maxBatchCalls?: number
  /** How many calls may wait for an answer; bounds memory. */
  maxWaitingCalls?: number
  /** The estimated wait above which calls are refused. */
  maxWaitMs?: number
  /** A monotonic clock in milliseconds. */
  elapsed?: () => number
}

type MeterState = 'running' | 'draining' | 'stopped'

const transitions: Transitions<MeterState> = {
  running: ['draining', 'stopped'],
  draining: ['stopped'],
  stopped: [],
}

/**
 * Decides and counts calls by group commit: calls gather in a batch while earlier batches are being committed.
 *
 *   running ──(stop)──▶ draining ──(every call is answered)──▶ stopped
 *
 *   calls ──▶ [ batch gathering ] ──(end of the event loop's turn, a slot is free)──▶ committing ──▶ answers
 *                     │                                                                   │
 *                     │                   calls that exceed a limit are charged again ◀───┤
 *                     └──(timed out)──▶ UNAVAILABLE or OVERLOADED, not counted            └──(timed out or failed)
 *                                                                                             ▼
 *                                                                            UNAVAILABLE, in doubt; the slot is free
 *
 * No call is answered before its commit, and nothing about a key is kept between batches. That makes admission exact
 * and revocation immediate on any number of servers.
 */
export class Meter {
  readonly #store: UsageStore
  readonly #clock: Clock
  readonly #prefix: string
  readonly #counted: MeterOptions['counted']
  readonly #inDoubt: MeterOptions['inDoubt']
  readonly #timeoutMs: number
  readonly #maxBatchCalls: number
  readonly #maxWaitingCalls: number
  readonly #elapsed: () => number
  readonly #load: LoadEstimate
  readonly #slots: CommitSlots
  readonly #hints = new DetailHints()
  /** Batches that are not yet sent, oldest first; only the last one takes calls. None is empty. */
  readonly #queue: Batch[] = []
  #state: MeterState = 'running'
  #databaseAnsweredAtMs = Number.NEGATIVE_INFINITY
  #dispatchScheduled = false
  #slowCommitTimerSet = false
  #drained: Promise<void> | undefined
  #resolveDrained = () => {}

  constructor({
    store,
    clock,
    prefix,
    counted,
    inDoubt,
    timeoutMs,
    maxCommits = 2,
    maxBatchCalls = 512,
    maxWaitingCalls = 20_000,
    maxWaitMs = 1_000,
    elapsed = elapsedMs,
  }: MeterOptions) {
    this.#store = store
    this.#clock = clock
    this.#prefix = prefix
    this.#counted = counted
    this.#inDoubt = inDoubt
    this.#timeoutMs = timeoutMs
    this.#maxBatchCalls = maxBatchCalls
    this.#maxWaitingCalls = maxWaitingCalls
    this.#elapsed = elapsed
    this.#load = new LoadEstimate({
      maxWaitingCalls,
      maxWaitMs,
      minWaitingCalls: maxCommits * maxBatchCalls,
      minBatchCalls: maxBatchCalls / 2,
      elapsed,
    })
    this.#slots = new CommitSlots(maxCommits, elapsed)
  }

  /**
   * Decides one request's calls and counts the admitted ones. They share a batch, so they are committed together or
   * not at all, except where an account reaches one of its limits, and the first time that a key with networks or
   * resources is used on this server.
   * @param calls must have passed `inputIssuesOf`
   * @returns the decisions, in the calls' order
   * @throws OverloadedError (nothing was counted), UnavailableError (some may have been counted)
   */
  async admit(calls: readonly MeteredCall[]): Promise<Decision[]> {
    if (this.#state !== 'running') throw new UnavailableError('The server is shutting down.')
    if (this.#load.isFull || this.#load.waitingCalls + calls.length > this.#maxWaitingCalls)
      throw new OverloadedError('Too many calls are waiting. Try again in a moment.')
    let batch: Batch | undefined
    const decisions = calls.map((call) => {
      if (!mayBeSecret(call.secret, this.#prefix)) return { code: 'KEY_INVALID' } as const
      batch ??= this.#gatheringBatch()
      return this.#join(batch, call)
    })
    return await Promise.all(decisions)
  }

  /** True if a call would be refused now because too many are waiting. */
  get isFull(): boolean {
    return this.#load.isFull
  }

  /** Refuses further calls and resolves when all accepted ones are answered. May be called more than once. */
  stop(): Promise<void> {
    this.#drained ??= new Promise((resolve) => {
      this.#resolveDrained = resolve
      this.#enter(this.#load.waitingCalls === 0 ? 'stopped' : 'draining')
    })
    return this.#drained
  }

  #enter(next: MeterState): void {
    this.#state = transition(transitions, this.#state, next)
    if (next === 'stopped') this.#resolveDrained()
  }

  #gatheringBatch(): Batch {
    const last = this.#queue.at(-1)
    if (last && last.calls.length < this.#maxBatchCalls) return last
    const batch = new Batch(this.#clock, this.#timeoutMs, this.#elapsed(), (late) => this.#timeOut(late))
    this.#queue.push(batch)
    return batch
  }

  #join(batch: Batch, { secret, apiCall, clientIp, resource, requestId }: MeteredCall): Promise<Decision> {
    this.#load.callArrived()
    const decision = new Promise<Decision>((answer, fail) => {
      // PostgreSQL rejects some texts that cannot be a name, and with them the whole batch. No API call has an
      // empty name.
      const name = canBeApiCallName(apiCall) ? apiCall : ''
      batch.calls.push({ secret, apiCall: name, clientIp, resource, requestId, refusal: null, answer, fail })
    })
    this.#scheduleDispatch()
    return decision.finally(() => {
      this.#load.callAnswered()
      if (this.#state === 'draining' && this.#load.waitingCalls === 0) this.#enter('stopped')
    })
  }

  /** Dispatches at the end of the event loop's turn, so that all calls that arrive in it share a batch. */
  #scheduleDispatch(): void {
    if (this.#dispatchScheduled) return
    const [next] = this.#queue
    if (!next) return
    if (!this.#slots.mayBegin(next.calls.length)) {
      this.#dispatchWhenCommitIsSlow()
      return
    }
    this.#dispatchScheduled = true
    setImmediate(() => {
      this.#dispatchScheduled = false
      this.#dispatch()
    })
  }

  #dispatch(): void {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      if (!this.#slots.mayBegin(next.calls.length)) break
      this.#queue.shift()
      const release = this.#slots.acquire()
      void this.#commit(next).finally(() => {
        release()
        this.#scheduleDispatch()
      })
    }
  }

  /** Without this timer, a small batch behind a slow commit would wait until another call arrives. */
  #dispatchWhenCommitIsSlow(): void {
    if (this.#slowCommitTimerSet || this.#slots.areAllTaken) return
    this.#slowCommitTimerSet = true
    this.#clock.after(CommitSlots.slowCommitMs, () => {
      this.#slowCommitTimerSet = false
      this.#scheduleDispatch()
    })
  }

  async #commit(batch: Batch): Promise<void> {
    batch.startCommit()
    let { calls } = batch
    try {
      // Each round charges what still fitted the limits in the round before. It fails to only if another server took the
      // room meanwhile, and the batch's time limit ends that.
      while (calls.length > 0) calls = await this.#charge(calls, batch.timeUp)
      this.#load.batchCommitted(batch.calls.length, batch.firstCallAtMs)
    } catch (cause) {
      const error = new UnavailableError('The call could not be counted for sure. It may have been.', {
        cause,
      })
      for (const call of calls) call.fail(error)
      this.#load.batchFailed()
      this.#inDoubt()
    } finally {
      batch.end()
    }
  }

  /** Charges the calls in one commit and answers them. Returns the calls to charge again. */
  async #charge(calls: WaitingCall[], timeUp: AbortSignal): Promise<WaitingCall[]> {
    const { groups, groupOf } = groupCalls(calls, this.#hints)
    const at = this.#clock.now()
    const month = monthOf(at)
    const charge = await this.#untilSettled(() => this.#store.charge(month, at, groups, timeUp))
    this.#databaseAnsweredAtMs = this.#elapsed()
    for (const [index, group] of groups.entries()) this.#hints.learn(group, charge.verdicts[index] ?? null)
    const again = answerCalls({ calls, groups, groupOf, charge, month, at })
    this.#counted(month, at, charge)
    return again
  }

  /** Charges again, a few times, as long as that certainly charged nothing. */
  async #untilSettled(charge: () => Promise<Charge>): Promise<Charge> {
    for (let tries = 0; ; tries++) {
      try {
        return await charge()
      } catch (error) {
        if (!(error instanceof NothingChargedError) || tries === fixedLimits.recharges) throw error
      }
    }
  }

  /** Fails the calls of a batch that was never sent. One that is being committed fails by its signal. */
  #timeOut(batch: Batch): void {
    if (batch.state !== 'gathering') return
    this.#queue.splice(this.#queue.indexOf(batch), 1)
    batch.end()
    const answering = this.#elapsed() - this.#databaseAnsweredAtMs < this.#timeoutMs / 2
    const error = answering
      ? new OverloadedError('More calls arrive than the database takes. The call was not counted.')
      : new UnavailableError('The database does not answer. The call was not counted.', {
          cause: batch.timeUp.reason,
        })
    for (const call of batch.calls) call.fail(error)
  }
}
