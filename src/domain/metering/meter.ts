import type { Clock } from '../../clock.ts'
import { OverloadedError, UnavailableError } from '../../errors.ts'
import { canBeApiCallName } from '../catalogue.ts'
import { type Month, monthOf } from '../month.ts'
import { digestOf, isWellFormedSecret } from '../secret.ts'
import { type Decision, type MeteredCall, remainingOf } from './decision.ts'
import type { CallGroup, Charge, UsageStore } from './usage-store.ts'

export interface MeterOptions {
  store: UsageStore
  clock: Clock
  /** Told what each commit counted, after it. */
  counted: (month: Month, at: Date, charge: Charge) => void
  /** Told of a commit that failed, and may nevertheless have counted. */
  uncertain: () => void
  /** Commits under way at the same time. */
  maxCommits?: number
  /** A batch that holds this many calls takes no further request. */
  maxBatchCalls?: number
  /** Calls waiting for an answer; beyond it they are refused at once. */
  maxWaitingCalls?: number
}

/** One call in a batch, and where its answer goes. */
interface WaitingCall extends MeteredCall {
  /** False once it is known that the calls before it leave no room for it in the quota. */
  fits: boolean
  answer: (decision: Decision) => void
  fail: (error: unknown) => void
}

/**
 * Decides and counts calls by group commit.
 *
 *   gathering ──(a commit slot is free)──▶ committing ──▶ answered
 *       ▲                                      │
 *       └── the next batch fills meanwhile     └──(some exceed a quota)──▶ committing, with those that fit
 *
 * A call is answered from what was committed, never before, and nothing about a key is kept between batches:
 * that is what makes admission exact and revocation immediate, on any number of servers.
 */
export class Meter {
  readonly #store: UsageStore
  readonly #clock: Clock
  readonly #counted: MeterOptions['counted']
  readonly #uncertain: MeterOptions['uncertain']
  readonly #maxCommits: number
  readonly #maxBatchCalls: number
  readonly #maxWaitingCalls: number
  /** Batches that are yet to be committed, oldest first; the last one is gathering. */
  #batches: WaitingCall[][] = []
  #waitingCalls = 0
  #commits = 0
  #scheduled = false
  #stopping: (() => void) | undefined
  #stopped: Promise<void> | undefined

  constructor({
    store,
    clock,
    counted,
    uncertain,
    maxCommits = 2,
    maxBatchCalls = 512,
    maxWaitingCalls = 20_000,
  }: MeterOptions) {
    this.#store = store
    this.#clock = clock
    this.#counted = counted
    this.#uncertain = uncertain
    this.#maxCommits = maxCommits
    this.#maxBatchCalls = maxBatchCalls
    this.#maxWaitingCalls = maxWaitingCalls
  }

  /**
   * Decides one request's calls, and counts those that it admits. They share a batch, so that they are
   * committed together or not at all (but for those that meet the end of a quota).
   * @returns the decisions, in the calls' order
   * @throws OverloadedError (nothing was counted), UnavailableError (some may have been counted)
   */
  async admit(calls: readonly MeteredCall[]): Promise<Decision[]> {
    if (this.#stopped) throw new UnavailableError('The server is shutting down.')
    if (this.#waitingCalls + calls.length > this.#maxWaitingCalls)
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

  #gathering(): WaitingCall[] {
    const last = this.#batches.at(-1)
    if (last && last.length < this.#maxBatchCalls) return last
    const next: WaitingCall[] = []
    this.#batches.push(next)
    return next
  }

  #join(batch: WaitingCall[], { secret, apiCall }: MeteredCall): Promise<Decision> {
    this.#waitingCalls++
    this.#schedule()
    const waiting = new Promise<Decision>((answer, fail) => {
      // A name that cannot be in the catalogue is not sent to the database, which would refuse some of them
      // together with everyone else's calls in the batch; no API call has the empty name.
      batch.push({ secret, apiCall: canBeApiCallName(apiCall) ? apiCall : '', fits: true, answer, fail })
    })
    return waiting.finally(() => {
      this.#waitingCalls--
      if (this.#waitingCalls === 0) this.#stopping?.()
    })
  }

  /** Commits begin at the end of the current turn of the event loop, so that all that arrive in it share one. */
  #schedule(): void {
    if (this.#scheduled || this.#commits >= this.#maxCommits) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#commits < this.#maxCommits && this.#batches[0]?.length) {
        const batch = this.#batches.shift() as WaitingCall[]
        this.#commits++
        void this.#commit(batch).finally(() => {
          this.#commits--
          if (this.#batches[0]?.length) this.#schedule()
        })
      }
    })
  }

  async #commit(batch: WaitingCall[]): Promise<void> {
    let calls = batch
    try {
      // Each further round asks only for what still fitted a quota when it was read. Quotas only fill up, so
      // the rounds end.
      while (calls.length > 0) calls = await this.#charge(calls)
    } catch (cause) {
      const error = new UnavailableError('The call could not be counted for sure. It may have been.', {
        cause,
      })
      for (const call of calls) call.fail(error)
      this.#uncertain()
    }
  }

  /** Charges the calls and answers them; returns those to be tried again because not all of theirs fitted. */
  async #charge(calls: WaitingCall[]): Promise<WaitingCall[]> {
    const { groups, groupOf } = groupCalls(calls)
    const at = this.#clock.now()
    const month = monthOf(at)
    const charge = await this.#store.charge(month, at, groups)
    const again = answerCalls(calls, groups, groupOf, charge, month)
    this.#counted(month, at, charge)
    return again
  }
}

/** Calls with the same secret and API call become one group; those that do not fit are in it, but not counted. */
function groupCalls(calls: readonly WaitingCall[]): { groups: CallGroup[]; groupOf: number[] } {
  const groups: CallGroup[] = []
  const indexes = new Map<string, number>()
  const groupOf = calls.map(({ secret, apiCall, fits }) => {
    const key = `${secret} ${apiCall}`
    let index = indexes.get(key)
    if (index === undefined) {
      index = groups.push({ digest: digestOf(secret), apiCall, calls: 0 }) - 1
      indexes.set(key, index)
    }
    if (fits) (groups[index] as CallGroup).calls++
    return index
  })
  return { groups, groupOf }
}

/**
 * Answers calls from a commit, in order of arrival. The calls of an account that did not all fit its quota are
 * returned, to be charged again: the first of them fit, as far as is known now, and the rest do not.
 */
function answerCalls(
  calls: readonly WaitingCall[],
  groups: readonly CallGroup[],
  groupOf: readonly number[],
  charge: Charge,
  month: Month,
): WaitingCall[] {
  const again: WaitingCall[] = []
  const totals = runningTotals(groups, charge)
  const places = new Map<string, number>()
  for (const [position, call] of calls.entries()) {
    const verdict = charge.verdicts[groupOf[position] as number]
    const account = verdict && charge.accounts.get(verdict.accountId)
    if (!verdict || !account) {
      call.answer({ code: 'KEY_INVALID' })
      continue
    }
    const { apiKeyId, accountId, access } = verdict
    const { externalId: accountExternalId, quota, charged } = account
    const room = remainingOf(account) ?? Number.POSITIVE_INFINITY
    if (access === 'allowed' && !charged && room > 0) {
      const place = places.get(accountId) ?? 0
      places.set(accountId, place + 1)
      call.fits = place < room
      again.push(call)
      continue
    }
    const admitted = access === 'allowed' && charged && call.fits
    call.answer({
      code: admitted ? 'ADMITTED' : refusals[access],
      apiKeyId,
      accountExternalId,
      apiKeyCalls: admitted ? totals.next(apiKeyId) : (charge.apiKeyCalls.get(apiKeyId) ?? 0),
      account: { month, calls: admitted ? totals.next(accountId) : account.calls, quota },
    })
  }
  return again
}

const refusals = {
  allowed: 'QUOTA_EXCEEDED',
  denied: 'ACCESS_DENIED',
  'unknown API call': 'API_CALL_UNKNOWN',
} as const

/** For each key and account that was charged: its total as it was with each of the batch's calls as the last. */
function runningTotals(groups: readonly CallGroup[], { verdicts, accounts, apiKeyCalls }: Charge) {
  const totals = new Map<string, number>()
  const startFrom = (id: string, after: number, calls: number) =>
    totals.set(id, (totals.get(id) ?? after) - calls)
  groups.forEach(({ calls }, index) => {
    const verdict = verdicts[index]
    const account = verdict && accounts.get(verdict.accountId)
    if (!account?.charged || verdict?.access !== 'allowed') return
    startFrom(verdict.apiKeyId, apiKeyCalls.get(verdict.apiKeyId) ?? 0, calls)
    startFrom(verdict.accountId, account.calls, calls)
  })
  return {
    next(id: string): number {
      const total = (totals.get(id) ?? 0) + 1
      totals.set(id, total)
      return total
    },
  }
}
