import type { Month } from '../month.ts'
import type { WaitingCall } from './batch.ts'
import { type ApiKeyDecision, type LimitCode, monthlyRetryAt, type RateLimitScope } from './decision.ts'
import {
  type AccountCharge,
  type Bucket,
  bucketId,
  type CallGroup,
  type Charge,
  type GroupVerdict,
  type Verdict,
} from './usage-store.ts'

type KeyVerdict = NonNullable<GroupVerdict>

/** A round of a batch: what was charged, when, and to whom. */
export interface Round {
  calls: readonly WaitingCall[]
  groups: readonly CallGroup[]
  groupOf: readonly number[]
  charge: Charge
  month: Month
  at: Date
}

/** A call of an account whose calls did not all fit. */
interface Uncharged {
  call: WaitingCall
  verdict: KeyVerdict
  account: AccountCharge
}

/**
 * Answers calls from what a commit charged, in order of arrival. Returns the calls to charge again: those that were
 * grouped too coarsely, and those of accounts whose calls did not all fit their limits. As many of these as every limit
 * has room for are marked as fitting.
 */
export function answerCalls(round: Round): WaitingCall[] {
  const { calls, groupOf, charge } = round
  const again = new Set<WaitingCall>()
  const uncharged: Uncharged[] = []
  const left = callsLeft(round)
  for (const [position, call] of calls.entries()) {
    const verdict = charge.verdicts[groupOf[position] as number]
    const account = verdict && charge.accounts.get(verdict.accountId)
    if (!verdict || !account) call.answer({ code: 'KEY_INVALID' })
    else if (verdict.verdict === 'needs details') again.add(call)
    else if (verdict.verdict === 'undecided' || (verdict.verdict === 'allowed' && !account.charged))
      uncharged.push({ call, verdict, account })
    else answer(call, verdict, account, round, left)
  }
  for (const call of chooseFitting(uncharged, round, left)) again.add(call)
  return again.size > 0 ? calls.filter((call) => again.has(call)) : []
}

/**
 * Marks the calls that fit, and answers those of accounts of which none does. Returns the others: calls that do not fit
 * are answered with the totals after those that do.
 */
function chooseFitting(uncharged: readonly Uncharged[], round: Round, left: CallsLeft): WaitingCall[] {
  const rooms = new Rooms(round.charge)
  const fittingAccounts = new Set<string>()
  /** The refusal of the last call with each id; null if it fits. */
  const firsts = new Map<string, LimitCode | null>()
  for (const { call, verdict, account } of uncharged) {
    const id = call.requestId ? `${verdict.apiKeyId} ${call.requestId}` : undefined
    // What repeats an earlier call that fits, or was charged, is judged after it.
    const waits = verdict.verdict === 'undecided' && !firsts.get(id ?? '')
    call.refusal = waits ? null : rooms.take(verdict, account)
    if (id !== undefined && !waits) firsts.set(id, call.refusal)
    if (!call.refusal) fittingAccounts.add(verdict.accountId)
  }
  const again: WaitingCall[] = []
  for (const { call, verdict, account } of uncharged) {
    if (fittingAccounts.has(verdict.accountId)) again.push(call)
    else answer(call, verdict, account, round, left)
  }
  return again
}

/** What is left of each limit while calls are chosen. */
class Rooms {
  readonly #charge: Charge
  readonly #left = new Map<string, number>()

  constructor(charge: Charge) {
    this.#charge = charge
  }

  /** Takes room for a call from all of its limits, or from none of them: then it returns the first reason. */
  take(verdict: KeyVerdict, { calls, quota }: AccountCharge): LimitCode | null {
    const { apiKeyId, accountId } = verdict
    const buckets = bucketsOf(verdict, this.#charge)
    const keyLimit = this.#charge.apiKeyLimits.get(apiKeyId)
    const keyRoom = keyLimit === undefined ? null : keyLimit - (this.#charge.apiKeyCalls.get(apiKeyId) ?? 0)
    const quotaRoom = quota === null ? null : quota - calls
    if (!buckets.every(({ id, bucket }) => this.#has(id, bucket.room))) return 'RATE_LIMITED'
    if (!this.#has(apiKeyId, keyRoom)) return 'KEY_LIMIT_EXCEEDED'
    if (!this.#has(accountId, quotaRoom)) return 'QUOTA_EXCEEDED'
    for (const { id, bucket } of buckets) this.#takeFrom(id, bucket.room)
    this.#takeFrom(apiKeyId, keyRoom)
    this.#takeFrom(accountId, quotaRoom)
    return null
  }

  #has(id: string, room: number | null): boolean {
    return room === null || (this.#left.get(id) ?? room) > 0
  }

  #takeFrom(id: string, room: number | null): void {
    if (room !== null) this.#left.set(id, (this.#left.get(id) ?? room) - 1)
  }
}

function answer(
  call: WaitingCall,
  verdict: KeyVerdict,
  account: AccountCharge,
  round: Round,
  left: CallsLeft,
): void {
  const { apiKeyId, accountId } = verdict
  const { charge, month } = round
  const code = codeOf(call, verdict.verdict)
  const counted = code === 'ADMITTED' && verdict.verdict === 'allowed'
  const keyCalls = charge.apiKeyCalls.get(apiKeyId) ?? 0
  const isLimited = verdict.verdict === 'allowed' || verdict.verdict === 'undecided'
  call.answer({
    code,
    apiKeyId,
    accountExternalId: account.externalId,
    apiKeyCalls: counted ? keyCalls - left.after(apiKeyId) : keyCalls,
    account: {
      month,
      calls: counted ? account.calls - left.after(accountId) : account.calls,
      quota: account.quota,
    },
    retryAt: isLimited && !counted ? retryAtOf(verdict, account, round) : null,
    replayed: verdict.verdict === 'replayed',
    previousSecret: verdict.previousSecret,
    rateLimits:
      isLimited && charge.buckets.size > 0 ? rateLimitsOf(verdict, round, counted ? left : null) : [],
    allowedResources: code === 'ADMITTED' ? (charge.resources.get(apiKeyId) ?? null) : [],
  })
}

const codes = {
  replayed: 'ADMITTED',
  disabled: 'KEY_DISABLED',
  expired: 'KEY_EXPIRED',
  suspended: 'ACCOUNT_SUSPENDED',
  'unknown API call': 'API_CALL_UNKNOWN',
  'access denied': 'ACCESS_DENIED',
  'resource denied': 'RESOURCE_DENIED',
  'network denied': 'NETWORK_DENIED',
  'request id reused': 'REQUEST_ID_REUSED',
} as const

function codeOf({ refusal }: WaitingCall, verdict: Verdict): ApiKeyDecision['code'] {
  if (verdict === 'allowed' || verdict === 'undecided') return refusal ?? 'ADMITTED'
  if (verdict === 'needs details') throw new Error('A call without details is not answered.')
  return codes[verdict]
}

/** When all limits that have no room at the moment have some; null if one never has. */
function retryAtOf(
  verdict: KeyVerdict,
  { calls, quota }: AccountCharge,
  { charge, month, at }: Round,
): Date | null {
  let retryAtMs = at.getTime()
  for (const { bucket } of bucketsOf(verdict, charge))
    retryAtMs = Math.max(retryAtMs, at.getTime() + bucket.roomInMs)
  const keyCalls = charge.apiKeyCalls.get(verdict.apiKeyId) ?? 0
  const monthly = [
    { limit: charge.apiKeyLimits.get(verdict.apiKeyId) ?? null, used: keyCalls },
    { limit: quota, used: calls },
  ]
  for (const { limit, used } of monthly) {
    if (limit === null || used < limit) continue
    const monthEnd = monthlyRetryAt(month, limit)
    if (!monthEnd) return null
    retryAtMs = Math.max(retryAtMs, monthEnd.getTime())
  }
  return new Date(retryAtMs)
}

/** The buckets that a group's calls must pass. */
function bucketsOf(
  { apiKeyId, accountId, limitedApiCallId }: KeyVerdict,
  { buckets }: Charge,
): { scope: RateLimitScope; id: string; bucket: Bucket }[] {
  if (buckets.size === 0) return []
  const passed: ReturnType<typeof bucketsOf> = []
  const pass = (scope: RateLimitScope, subjectId: string) => {
    const id = bucketId(accountId, subjectId)
    const bucket = buckets.get(id)
    if (bucket) passed.push({ scope, id, bucket })
  }
  pass('ACCOUNT', accountId)
  if (limitedApiCallId !== null) pass('API_CALL', limitedApiCallId)
  pass('API_KEY', apiKeyId)
  return passed
}

/** The states of a call's buckets: after the call if it was counted, else after the commit. */
function rateLimitsOf(verdict: KeyVerdict, { charge, at }: Round, left: CallsLeft | null) {
  return bucketsOf(verdict, charge).map(({ scope, id, bucket }) => {
    const { calls, perSeconds, room, fullInMs } = bucket
    const after = left?.after(id) ?? 0
    const resetsInMs = Math.max(0, fullInMs - Math.floor((after * perSeconds * 1_000) / calls))
    return {
      scope,
      calls,
      perSeconds,
      remaining: room + after,
      resetsAt: new Date(at.getTime() + resetsInMs),
    }
  })
}

/** How many of the charged calls of each key, account and bucket are still to be answered. */
interface CallsLeft {
  /** Counts one as answered, and returns how many come after it. */
  after(id: string): number
}

/** With this, every call gets its own total: the one after the commit less the calls that come after it. */
function callsLeft({ groups, charge }: Round): CallsLeft {
  const left = new Map<string, number>()
  const add = (id: string, calls: number) => left.set(id, (left.get(id) ?? 0) + calls)
  for (const [index, { calls }] of groups.entries()) {
    const verdict = charge.verdicts[index]
    if (verdict?.verdict !== 'allowed' || !charge.accounts.get(verdict.accountId)?.charged) continue
    add(verdict.apiKeyId, calls)
    add(verdict.accountId, calls)
    for (const { id } of bucketsOf(verdict, charge)) add(id, calls)
  }
  return {
    after(id) {
      const after = (left.get(id) ?? 1) - 1
      left.set(id, after)
      return after
    },
  }
}
