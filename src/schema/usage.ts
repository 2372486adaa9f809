import type { LiveUsageEvent } from '../domain/live-usage/count-list.ts'
import { remainingOf } from '../domain/metering/decision.ts'
import { addMonths, type Month, monthOf, resetsAt } from '../domain/month.ts'
import { NotFoundError } from '../errors.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { keyOfEvent } from './event-keys.ts'
import { globalIdOf } from './global-id.ts'
import { everApiKeysInScope } from './tenant-scope.ts'

/** Calls made with one key in one month. */
export interface ApiKeyUsageRecord {
  apiKeyId: string
  month: Month
  calls: number
  /** The key's own limit in the month; null means none. */
  limit: number | null
  lastCallAt: Date | null
  /** The live event that it belongs to, if it does. */
  event?: LiveUsageEvent
}

/** Calls made by one account in one month. */
export interface AccountUsageRecord {
  month: Month
  calls: number
  quota: number | null
}

export const AccountUsage = builder.objectRef<AccountUsageRecord>('AccountUsage').implement({
  description:
    'Calls made with all of an account’s keys in one calendar month (UTC), and the quota of its plan.',
  fields: (t) => ({
    month: t.expose('month', { type: 'Month', description: 'The month.' }),
    calls: t.expose('calls', {
      type: 'SafeInt',
      description: 'Calls admitted in the month, removed keys included.',
    }),
    quota: t.expose('quota', {
      type: 'SafeInt',
      nullable: true,
      description: 'Calls that the plan allows per month; null means no limit.',
    }),
    remaining: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Calls left in the quota, never negative; null if the plan has no limit.',
      resolve: remainingOf,
    }),
    resetsAt: t.field({
      type: 'DateTime',
      description: 'The first instant of the next month, when counting starts again at zero.',
      resolve: ({ month }) => resetsAt(month),
    }),
  }),
})

export const ApiKeyUsage = builder.objectRef<ApiKeyUsageRecord>('ApiKeyUsage').implement({
  description: 'Calls made with one key in one calendar month (UTC).',
  fields: (t) => ({
    apiKeyId: t.id({
      description: 'The id of the key; cheaper than reading the key.',
      resolve: ({ apiKeyId }) => globalIdOf('ApiKey', apiKeyId),
    }),
    apiKey: t.prismaField({
      type: 'ApiKey',
      description: 'The key.',
      authScopes: { scope: 'keys:read' },
      complexity: 2,
      extensions: { readsDatabase: true },
      // The key may have been removed since its usage was read, and with its account, its row. A token that described
      // the key by its secret may not read it here.
      resolve: async (query, { apiKeyId, event }, _args, context, info) => {
        const read = (ids: string[]) =>
          context.prisma.apiKey.findMany({
            ...query,
            where: { id: { in: ids }, ...everApiKeysInScope(context) },
          })
        const apiKey = event
          ? await keyOfEvent(event, apiKeyId, JSON.stringify([everApiKeysInScope(context), query]), read)
          : await context.loaders.rows(info.fieldNodes, read).load(apiKeyId)
        if (!apiKey) throw new NotFoundError('There is no API key with this id.')
        return apiKey
      },
    }),
    month: t.expose('month', { type: 'Month', description: 'The month.' }),
    calls: t.expose('calls', { type: 'SafeInt', description: 'Calls admitted in the month.' }),
    limit: t.expose('limit', {
      type: 'SafeInt',
      nullable: true,
      description:
        'Calls that the key may make in the month, within the account’s quota; null if it has no limit of its own, and for past months.',
    }),
    remaining: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Calls left in the key’s own limit, never negative; null if it has none.',
      resolve: ({ calls, limit }) => remainingOf({ calls, quota: limit }),
    }),
    lastCallAt: t.expose('lastCallAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last of these calls was admitted; null if there was none.',
    }),
  }),
})

/** An account's calls in a month, the current one if none is given, and its quota. */
export async function accountUsage(
  accountId: string,
  currentQuota: bigint | null,
  month: Month | null | undefined,
  { loaders, clock }: Context,
): Promise<AccountUsageRecord> {
  const thisMonth = monthOf(clock.now())
  const asked = month ?? thisMonth
  const row = await loaders.accountUsage.load({ id: accountId, month: asked })
  // A past month keeps the quota that its calls were charged against.
  const quota = row && asked < thisMonth ? row.quota : currentQuota
  return { month: asked, calls: Number(row?.calls ?? 0), quota: quota === null ? null : Number(quota) }
}

/** A key, and its own monthly limit as it is now. */
interface CountedApiKey {
  id: string
  monthlyCallLimit: bigint | null
}

/** A key's calls in a month, the current one if none is given. */
export async function apiKeyUsage(
  { id: apiKeyId, monthlyCallLimit }: CountedApiKey,
  month: Month | null | undefined,
  { loaders, clock }: Context,
): Promise<ApiKeyUsageRecord> {
  const thisMonth = monthOf(clock.now())
  const asked = month ?? thisMonth
  const row = await loaders.apiKeyUsage.load({ id: apiKeyId, month: asked })
  const limit = asked < thisMonth || monthlyCallLimit === null ? null : Number(monthlyCallLimit)
  return {
    apiKeyId,
    month: asked,
    calls: Number(row?.calls ?? 0),
    limit,
    lastCallAt: row?.lastCallAt ?? null,
  }
}

/** A key's calls in each of the last `count` months, the current one first. Months without calls have 0. */
export async function apiKeyUsageHistory(
  { id: apiKeyId, monthlyCallLimit }: CountedApiKey,
  count: number,
  { loaders, clock }: Context,
): Promise<ApiKeyUsageRecord[]> {
  const newest = monthOf(clock.now())
  const rows = await loaders.usageHistory(count, newest).load(apiKeyId)
  const byMonth = new Map(rows.map((row) => [monthOf(row.month), row]))
  return Array.from({ length: count }, (_, ago) => {
    const month = addMonths(newest, -ago)
    const row = byMonth.get(month)
    const limit = ago > 0 || monthlyCallLimit === null ? null : Number(monthlyCallLimit)
    return { apiKeyId, month, calls: Number(row?.calls ?? 0), limit, lastCallAt: row?.lastCallAt ?? null }
  })
}
