import { remainingOf } from '../domain/metering/decision.ts'
import { addMonths, firstInstantOf, type Month, monthOf, resetsAt } from '../domain/month.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { globalIdOf } from './global-id.ts'

/** The calls of one key in one month. */
export interface ApiKeyUsageRecord {
  apiKeyId: string
  month: Month
  calls: number
  lastCallAt: Date | null
}

/** The calls of one account in one month. */
export interface AccountUsageRecord {
  month: Month
  calls: number
  quota: number | null
}

export const AccountUsage = builder.objectRef<AccountUsageRecord>('AccountUsage').implement({
  description: 'The calls of all of an account’s keys in one calendar month (UTC), and what its plan allows.',
  fields: (t) => ({
    month: t.expose('month', { type: 'Month', description: 'The month.' }),
    calls: t.expose('calls', {
      type: 'SafeInt',
      description: 'Calls admitted in the month, those of removed keys included.',
    }),
    quota: t.expose('quota', {
      type: 'SafeInt',
      nullable: true,
      description: 'Calls that the plan allows in the month; null means no limit.',
    }),
    remaining: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'Calls that are left; null when the plan has no limit; never negative.',
      resolve: remainingOf,
    }),
    resetsAt: t.field({
      type: 'DateTime',
      description: 'The first instant of the next month, when counts and quota start again at zero.',
      resolve: ({ month }) => resetsAt(month),
    }),
  }),
})

export const ApiKeyUsage = builder.objectRef<ApiKeyUsageRecord>('ApiKeyUsage').implement({
  description: 'The calls made with one key in one calendar month (UTC).',
  fields: (t) => ({
    apiKeyId: t.id({
      description: 'The id of the key, without the cost of fetching it.',
      resolve: ({ apiKeyId }) => globalIdOf('ApiKey', apiKeyId),
    }),
    apiKey: t.prismaField({
      type: 'ApiKey',
      description: 'The key.',
      // Whoever has this record has been allowed to see the key. It is found even if it was removed since.
      resolve: (query, { apiKeyId }, _args, { prisma }) =>
        prisma.apiKey.findUniqueOrThrow({ ...query, where: { id: apiKeyId } }),
    }),
    month: t.expose('month', { type: 'Month', description: 'The month.' }),
    calls: t.expose('calls', { type: 'SafeInt', description: 'Calls admitted in the month.' }),
    lastCallAt: t.expose('lastCallAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last of them was; null when there was none.',
    }),
  }),
})

/** The calls of an account in a month (this one where none is given), against the quota that its plan has now. */
export async function accountUsage(
  accountId: string,
  currentQuota: bigint | null,
  month: Month | null | undefined,
  { prisma, clock }: Context,
): Promise<AccountUsageRecord> {
  const thisMonth = monthOf(clock.now())
  const asked = month ?? thisMonth
  const row = await prisma.accountUsage.findUnique({
    where: { month_accountId: { month: firstInstantOf(asked), accountId } },
  })
  // A past month keeps the quota that it was counted against.
  const quota = row && asked < thisMonth ? row.quota : currentQuota
  return { month: asked, calls: Number(row?.calls ?? 0), quota: quota === null ? null : Number(quota) }
}

/** The calls of a key in a month, this one where none is given. */
export async function apiKeyUsage(
  apiKeyId: string,
  month: Month | null | undefined,
  { prisma, clock }: Context,
): Promise<ApiKeyUsageRecord> {
  const asked = month ?? monthOf(clock.now())
  const row = await prisma.apiKeyUsage.findUnique({
    where: { month_apiKeyId: { month: firstInstantOf(asked), apiKeyId } },
  })
  return { apiKeyId, month: asked, calls: Number(row?.calls ?? 0), lastCallAt: row?.lastCallAt ?? null }
}

/** The calls of a key in each of the last months, this one first; months without calls have 0. */
export async function apiKeyUsageHistory(
  apiKeyId: string,
  count: number,
  { prisma, clock }: Context,
): Promise<ApiKeyUsageRecord[]> {
  const newest = monthOf(clock.now())
  const oldest = firstInstantOf(addMonths(newest, 1 - count))
  const rows = await prisma.apiKeyUsage.findMany({ where: { apiKeyId, month: { gte: oldest } } })
  const byMonth = new Map(rows.map((row) => [monthOf(row.month), row]))
  return Array.from({ length: count }, (_, ago) => {
    const month = addMonths(newest, -ago)
    const row = byMonth.get(month)
    return { apiKeyId, month, calls: Number(row?.calls ?? 0), lastCallAt: row?.lastCallAt ?? null }
  })
}
