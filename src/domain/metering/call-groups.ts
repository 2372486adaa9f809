import type { Month } from '../month.ts'
import { digestOf } from '../secret.ts'
import type { WaitingCall } from './batch.ts'
import { remainingOf } from './decision.ts'
import type { CallGroup, Charge } from './usage-store.ts'

/** Groups calls by secret and API call. Calls that do not fit the quota belong to a group but are not counted in it. */
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
 * Answers calls from what a commit charged, in order of arrival. Returns the calls to charge again: those of accounts
 * whose calls did not all fit the quota. As many of them as the quota has room for are marked as fitting.
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

/** Counts each charged key and account up from its total before the batch, so that every call gets its own total. */
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
