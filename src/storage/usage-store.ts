import { DatabaseError, type Pool } from 'pg'
import type { KeyPage, LiveUsageStore, UsageSnapshot } from '../domain/live-usage/usage-pages.ts'
import type { ResourcesOfType } from '../domain/metering/decision.ts'
import type { RequestIdStore } from '../domain/metering/request-purge.ts'
import {
  bucketId,
  type CallGroup,
  type Charge,
  type GroupVerdict,
  NothingChargedError,
  type UsageStore,
} from '../domain/metering/usage-store.ts'
import type { Month } from '../domain/month.ts'
import { queryUntil } from './query-until.ts'
import { type ChargeResult, chargeStatement, keyFlags } from './sql/charge.ts'
import { forgetRequestsStatement } from './sql/forget-requests.ts'
import { snapshotStatement, type UsageSnapshotRow } from './sql/usage-snapshot.ts'

/** A row that was charged is gone (23503), or waits for this charge to end, as this charge waits for it (40P01). */
const chargesNothing = /^(23503|40P01)$/

/** Null for a list of nulls, which the database need not unpack. */
const ifAny = (values: readonly (string | null)[]) => (values.some((value) => value !== null) ? values : null)
const numberOrNull = (bigint: string | null) => (bigint === null ? null : Number(bigint))
const firstDayOf = (month: Month) => `${month}-01`

/** Usage counts in PostgreSQL, by hand-written SQL: these two statements decide how fast Latchkey is. */
export class SqlUsageStore implements UsageStore, LiveUsageStore, RequestIdStore {
  readonly #pool: Pool
  readonly #meteringPool: Pool

  /** Reads use `pool`, charges use `meteringPool`. */
  constructor(pool: Pool, meteringPool: Pool) {
    this.#pool = pool
    this.#meteringPool = meteringPool
  }

  async charge(month: Month, at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge> {
    const values = [
      firstDayOf(month),
      at.toISOString(),
      // Concatenated, because pg encodes an array of buffers in hexadecimal.
      Buffer.concat(groups.map(({ digest }) => digest)),
      groups.map(({ apiCall }) => apiCall),
      groups.map(({ calls }) => calls),
      ifAny(groups.map(({ address }) => address)),
      ifAny(groups.map(({ resourceType }) => resourceType)),
      ifAny(groups.map(({ resourceId }) => resourceId)),
      ifAny(groups.map(({ requestId }) => requestId)),
    ]
    try {
      const { rows } = await queryUntil<{ charge: ChargeResult }>(
        this.#meteringPool,
        timeUp,
        chargeStatement,
        values,
      )
      return chargeFrom(rows[0]?.charge ?? [null, null, null], groups.length)
    } catch (error) {
      if (error instanceof DatabaseError && chargesNothing.test(error.code ?? ''))
        throw new NothingChargedError('What the batch charges was changed at the same time.', {
          cause: error,
        })
      throw error
    }
  }

  async forgetRequests(before: Date, most: number): Promise<number> {
    const { rowCount } = await this.#pool.query(forgetRequestsStatement, [before.toISOString(), most])
    return rowCount ?? 0
  }

  async readUsage(accountId: string, month: Month, { after, most }: KeyPage): Promise<UsageSnapshot> {
    const { rows } = await this.#pool.query<UsageSnapshotRow>(snapshotStatement, [
      accountId,
      firstDayOf(month),
      after,
      most,
    ])
    const apiKeys: UsageSnapshot['apiKeys'] = []
    for (const { api_key_id, calls, last_call_at, key_limit } of rows) {
      if (api_key_id === null) continue
      apiKeys.push({
        apiKeyId: api_key_id,
        calls: Number(calls),
        lastCallAt: last_call_at?.toISOString() ?? null,
        limit: numberOrNull(key_limit),
      })
    }
    return {
      account: { calls: Number(rows[0]?.account_calls ?? 0), quota: numberOrNull(rows[0]?.quota ?? null) },
      apiKeys,
    }
  }
}

function chargeFrom(
  [groups, charged, counted, buckets, resources]: ChargeResult,
  groupCount: number,
): Charge {
  const verdicts: GroupVerdict[] = new Array(groupCount).fill(null)
  const accounts: Charge['accounts'] = new Map()
  const apiKeyCalls: Charge['apiKeyCalls'] = new Map(counted)
  const apiKeyLimits: Charge['apiKeyLimits'] = new Map()
  for (const group of groups ?? []) {
    const [position, apiKeyId, accountId, externalId, quota, verdict, flags, ...totalsAndLimits] = group
    const [accountCalls, keyCalls, keyLimit = null, limitedApiCallId = null] = totalsAndLimits
    verdicts[position - 1] = {
      apiKeyId,
      accountId,
      verdict,
      previousSecret: (flags & keyFlags.previousSecret) > 0,
      needs: flags < keyFlags.resources ? nothing : needsOf(flags),
      limitedApiCallId,
    }
    if (!accounts.has(accountId))
      accounts.set(accountId, { externalId, calls: accountCalls ?? 0, quota, charged: false })
    if (!apiKeyCalls.has(apiKeyId)) apiKeyCalls.set(apiKeyId, keyCalls ?? 0)
    if (keyLimit !== null) apiKeyLimits.set(apiKeyId, keyLimit)
  }
  for (const [accountId, calls] of charged ?? []) {
    const account = accounts.get(accountId)
    if (account) Object.assign(account, { calls, charged: true })
  }
  return {
    verdicts,
    accounts,
    apiKeyCalls,
    apiKeyLimits,
    buckets: bucketsFrom(buckets),
    resources: resourcesFrom(resources),
  }
}

const nothing = { resources: false, addresses: false }
const needsOf = (flags: number) => ({
  resources: (flags & keyFlags.resources) > 0,
  addresses: (flags & keyFlags.networks) > 0,
})

function bucketsFrom(rows: ChargeResult[3]): Charge['buckets'] {
  const buckets: Charge['buckets'] = new Map()
  for (const [accountId, subjectId, calls, perSeconds, room, fullInMs, roomInMs] of rows ?? [])
    buckets.set(bucketId(accountId, subjectId), { calls, perSeconds, room, fullInMs, roomInMs })
  return buckets
}

/** An empty id stands for all of the type. */
function resourcesFrom(rows: ChargeResult[4]): Charge['resources'] {
  const resources: Map<string, ResourcesOfType[]> = new Map()
  for (const [apiKeyId, type, ids] of rows ?? []) {
    const ofKey = resources.get(apiKeyId) ?? []
    ofKey.push({ type, ids: ids.includes('') ? null : ids })
    resources.set(apiKeyId, ofKey)
  }
  return resources
}
