import type { Month } from '../month.ts'
import { digestOf } from '../secret.ts'
import { type Decision, type MeteredCall, remainingOf } from './decision.ts'
import type { CallGroup, Charge } from './usage-store.ts'

/** One call in a batch, and where its answer goes. */
export interface WaitingCall extends MeteredCall {
  /** False once it is known that the calls before it leave no room for it in the quota. */
  fits: boolean
  answer: (decision: Decision) => void
  fail: (error: unknown) => void
}

/** Calls with the same secret and API call become one group; those that do not fit are in it, but not counted. */
export function groupCalls(calls: readonly WaitingCall[]): { groups: CallGroup[]; groupOf: number[] } {
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
export function answerCalls(
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
