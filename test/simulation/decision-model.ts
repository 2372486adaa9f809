import type { MeteredCall } from '../../src/domain/metering/decision.ts'
import { type Month, monthOf } from '../../src/domain/month.ts'

export interface Rate {
  calls: number
  perSeconds: number
}

export interface ModelPlan {
  quota: number | null
  rate: Rate | null
}

export interface ModelAccount {
  id: string
  plan: ModelPlan
  suspended: boolean
  calls: Map<Month, number>
  buckets: Map<string, Bucket>
}

export interface ModelKey {
  id: string
  account: ModelAccount
  /** Null once it is removed. */
  secret: string | null
  previous: { secret: string; until: Date } | null
  enabled: boolean
  expiresAt: Date | null
  monthlyCallLimit: number | null
  rate: Rate | null
  /** The address that it may be used from, or null for any. */
  onlyAddress: string | null
  /** The resource that it may touch, or null for all. */
  onlyResource: { type: string; id: string | null } | null
  /** Null for all. */
  apiCalls: string[] | null
  calls: Map<Month, number>
  requests: Map<string, { apiCall: string; at: Date }>
}

export interface ModelApiCall {
  id: string
  name: string
  rate: Rate | null
  alwaysAllowed: boolean
}

interface Bucket {
  /** In units of which a call takes perSeconds × 1,000. */
  spent: bigint
  atMs: number
  perSeconds: number
}

export interface ModelDecision {
  code: string
  replayed: boolean
  previousSecret: boolean
  /** The key's and the account's calls in the month with this one; undefined if it was not counted. */
  totals?: [number, number]
}

const dayMs = 86_400_000
const max = (a: bigint, b: bigint) => (a > b ? a : b)
const min = (a: bigint, b: bigint) => (a < b ? a : b)

/** What the service must decide, one call after another, kept in memory. */
export class DecisionModel {
  readonly accounts: ModelAccount[] = []
  readonly keys: ModelKey[] = []
  readonly apiCalls: ModelApiCall[] = []

  /** Decides a call, and counts it if it is admitted. */
  decide({ secret, apiCall: name, clientIp, resource, requestId }: MeteredCall, now: Date): ModelDecision {
    const current = this.keys.find((one) => one.secret === secret)
    const key =
      current ?? this.keys.find(({ previous }) => previous?.secret === secret && previous.until > now)
    const previousSecret = !current
    const refuse = (code: string) => ({ code, replayed: false, previousSecret })
    if (!key) return { code: 'KEY_INVALID', replayed: false, previousSecret: false }
    const { account } = key
    const apiCall = this.apiCalls.find((one) => one.name === name)
    if (!key.enabled) return refuse('KEY_DISABLED')
    if (key.expiresAt && key.expiresAt <= now) return refuse('KEY_EXPIRED')
    if (account.suspended) return refuse('ACCOUNT_SUSPENDED')
    if (!apiCall) return refuse('API_CALL_UNKNOWN')
    if (key.apiCalls && !apiCall.alwaysAllowed && !key.apiCalls.includes(name)) return refuse('ACCESS_DENIED')
    const { onlyResource, onlyAddress } = key
    const touchesAllowed =
      !onlyResource ||
      (resource?.type === onlyResource.type &&
        (onlyResource.id === null || resource.id == null || resource.id === onlyResource.id))
    if (!touchesAllowed) return refuse('RESOURCE_DENIED')
    if (onlyAddress && clientIp !== onlyAddress) return refuse('NETWORK_DENIED')
    const request = requestId ? key.requests.get(requestId) : undefined
    if (request && now.getTime() - request.at.getTime() < dayMs)
      return request.apiCall === name
        ? { code: 'ADMITTED', replayed: true, previousSecret }
        : refuse('REQUEST_ID_REUSED')
    const code = this.#take(key, apiCall, now)
    if (code) return refuse(code)
    if (requestId) key.requests.set(requestId, { apiCall: name, at: now })
    const month = monthOf(now)
    return {
      code: 'ADMITTED',
      replayed: false,
      previousSecret,
      totals: [callsIn(key, month), callsIn(account, month)],
    }
  }

  #take(key: ModelKey, apiCall: ModelApiCall, now: Date): string | null {
    const { account } = key
    const month = monthOf(now)
    const rates = [
      { id: account.id, rate: account.plan.rate },
      { id: apiCall.id, rate: apiCall.rate },
      { id: key.id, rate: key.rate },
    ].flatMap(({ id, rate }) =>
      rate ? [{ id, rate, spent: spentOf(account.buckets.get(id), rate, now) }] : [],
    )
    for (const { rate, spent } of rates)
      if (spent + unitOf(rate) > BigInt(rate.calls) * unitOf(rate)) return 'RATE_LIMITED'
    if (key.monthlyCallLimit !== null && callsIn(key, month) >= key.monthlyCallLimit)
      return 'KEY_LIMIT_EXCEEDED'
    if (account.plan.quota !== null && callsIn(account, month) >= account.plan.quota) return 'QUOTA_EXCEEDED'
    for (const { id, rate, spent } of rates) {
      const atMs = Math.max(account.buckets.get(id)?.atMs ?? 0, now.getTime())
      account.buckets.set(id, { spent: spent + unitOf(rate), atMs, perSeconds: rate.perSeconds })
    }
    for (const counted of [key, account]) counted.calls.set(month, callsIn(counted, month) + 1)
    return null
  }
}

const unitOf = ({ perSeconds }: Rate) => BigInt(perSeconds) * 1_000n

export const callsIn = ({ calls }: { calls: Map<Month, number> }, month: Month) => calls.get(month) ?? 0

function spentOf(bucket: Bucket | undefined, rate: Rate, now: Date): bigint {
  if (!bucket) return 0n
  const [from, to] = [BigInt(bucket.perSeconds), BigInt(rate.perSeconds)]
  const rescaled = (bucket.spent * to + from - 1n) / from
  const elapsedMs = min(unitOf(rate), BigInt(Math.max(0, now.getTime() - bucket.atMs)))
  return max(0n, min(rescaled, BigInt(rate.calls) * unitOf(rate)) - elapsedMs * BigInt(rate.calls))
}
