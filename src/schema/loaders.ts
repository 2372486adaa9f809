import DataLoader from 'dataloader'
import type { FieldNode } from 'graphql'
import { addMonths, firstInstantOf, type Month, monthOf } from '../domain/month.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { fixedLimits, listLimits } from '../limits.ts'

const { rowsPerStatement } = fixedLimits

/** An account or key, and a month. */
export interface MonthOf {
  id: string
  month: Month
}

interface UsageRow {
  month: Date
  calls: bigint
}
export type AccountUsageRow = UsageRow & { accountId: string; quota: bigint | null }
export type ApiKeyUsageRow = UsageRow & { apiKeyId: string; lastCallAt: Date }

/**
 * Reads with one statement what one operation wants of many rows at the same time. Nothing is cached: a mutation may
 * read the same row before and after a change.
 */
export class Loaders {
  readonly #prisma: PrismaClient
  readonly #histories = new Map<number, DataLoader<string, ApiKeyUsageRow[]>>()
  /** Weak, because a subscription has other nodes for each of its events. */
  readonly #rows = new WeakMap<readonly FieldNode[], DataLoader<string, unknown>>()
  /** The usage of accounts. */
  readonly accountUsage: DataLoader<MonthOf, AccountUsageRow | null>
  /** The usage of keys. */
  readonly apiKeyUsage: DataLoader<MonthOf, ApiKeyUsageRow | null>
  /** When keys were last used. */
  readonly lastCallAt: DataLoader<string, Date | null>
  /** The API calls that restricted keys may make, in order. */
  readonly apiCallIds: DataLoader<string, string[]>

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
    this.accountUsage = createLoader(rowsPerStatement, async (wanted) => {
      const where = { accountId: { in: idsOf(wanted) }, month: { in: monthsOf(wanted) } }
      const rows = await prisma.accountUsage.findMany({ where })
      return inOrder(wanted, rows, ({ accountId }) => accountId)
    })
    this.apiKeyUsage = createLoader(rowsPerStatement, async (wanted) => {
      const where = { apiKeyId: { in: idsOf(wanted) }, month: { in: monthsOf(wanted) } }
      const rows = await prisma.apiKeyUsage.findMany({ where })
      return inOrder(wanted, rows, ({ apiKeyId }) => apiKeyId)
    })
    this.lastCallAt = createLoader(rowsPerStatement, async (ids) => {
      const where = { apiKeyId: { in: [...new Set(ids)] } }
      const rows = await prisma.apiKeyUsage.groupBy({ by: ['apiKeyId'], where, _max: { lastCallAt: true } })
      const byId = new Map(rows.map(({ apiKeyId, _max }) => [apiKeyId, _max.lastCallAt]))
      return ids.map((id) => byId.get(id) ?? null)
    })
    this.apiCallIds = createLoader(listLimits.pageRows, async (ids) => {
      const lists = new Map<string, string[]>(ids.map((id) => [id, []]))
      const read = async (part: string[]) => {
        const where = { apiKeyId: { in: part } }
        const rows = await prisma.apiKeyApiCall.findMany({ where, orderBy: { apiCallId: 'asc' } })
        for (const { apiKeyId, apiCallId } of rows) lists.get(apiKeyId)?.push(apiCallId)
      }
      await Promise.all((await this.#partsByApiCalls([...lists.keys()])).map(read))
      return ids.map((id) => lists.get(id) as string[])
    })
  }

  /** Keys in parts, of which each has no more API calls than one statement is to read. */
  async #partsByApiCalls(ids: string[]): Promise<string[][]> {
    if (ids.length === 1) return [ids]
    const where = { apiKeyId: { in: ids } }
    const counts = await this.#prisma.apiKeyApiCall.groupBy({ by: ['apiKeyId'], where, _count: true })
    const parts: string[][] = []
    let room = 0
    for (const { apiKeyId, _count } of counts) {
      if (_count > room) {
        parts.push([])
        room = rowsPerStatement
      }
      parts.at(-1)?.push(apiKeyId)
      room -= _count
    }
    return parts
  }

  /** The usage of keys in the last so many months until `newest`, by the key's id. Months without calls have no row. */
  usageHistory(count: number, newest: Month): DataLoader<string, ApiKeyUsageRow[]> {
    const known = this.#histories.get(count)
    if (known) return known
    const oldest = firstInstantOf(addMonths(newest, 1 - count))
    const loader = createLoader<string, ApiKeyUsageRow[]>(
      Math.max(1, Math.floor(rowsPerStatement / count)),
      async (ids) => {
        const where = { apiKeyId: { in: [...new Set(ids)] }, month: { gte: oldest } }
        const byKey = new Map<string, ApiKeyUsageRow[]>(ids.map((id) => [id, []]))
        for (const row of await this.#prisma.apiKeyUsage.findMany({ where }))
          byKey.get(row.apiKeyId)?.push(row)
        return ids.map((id) => byKey.get(id) as ApiKeyUsageRow[])
      },
    )
    this.#histories.set(count, loader)
    return loader
  }

  /**
   * Rows by their ids, null for those that there are not.
   * @param field the field of the document whose rows they are; all of them have the same selection
   */
  rows<Row extends { id: string }>(
    field: readonly FieldNode[],
    read: (ids: string[]) => Promise<Row[]>,
  ): DataLoader<string, Row | null> {
    const known = this.#rows.get(field) as DataLoader<string, Row | null> | undefined
    if (known) return known
    const loader = createLoader<string, Row | null>(listLimits.pageRows, async (ids) => {
      const rows = await read([...new Set(ids)])
      const byId = new Map(rows.map((row) => [row.id, row]))
      return ids.map((id) => byId.get(id) ?? null)
    })
    this.#rows.set(field, loader)
    return loader
  }
}

function createLoader<Key, Value>(
  maxBatchSize: number,
  read: (keys: readonly Key[]) => Promise<Value[]>,
): DataLoader<Key, Value> {
  return new DataLoader(read, { cache: false, maxBatchSize })
}

const idsOf = (wanted: readonly MonthOf[]) => [...new Set(wanted.map(({ id }) => id))]
const monthsOf = (wanted: readonly MonthOf[]) =>
  [...new Set(wanted.map(({ month }) => month))].map(firstInstantOf)

function inOrder<Row extends UsageRow>(
  wanted: readonly MonthOf[],
  rows: readonly Row[],
  idOf: (row: Row) => string,
): (Row | null)[] {
  const byKey = new Map(rows.map((row) => [`${monthOf(row.month)} ${idOf(row)}`, row]))
  return wanted.map(({ id, month }) => byKey.get(`${month} ${id}`) ?? null)
}
