import { validate } from 'uuid'
import { z } from 'zod'
import { searchRule } from '../domain/text.ts'
import { listLimits, statementCost } from '../limits.ts'

const { pageRows, defaultPageRows } = listLimits
const pageSizes = `From 1 to ${pageRows}.`
const pageSize = z.int().min(1, pageSizes).max(pageRows, pageSizes).nullish()
const cursor = z
  .string()
  .refine(
    (text) => validate(rowIdIn(text)),
    'It is not a cursor of this connection. Take one from an edge or from pageInfo.',
  )
  .nullish()

/** The rules for the arguments of a page: forwards or backwards, never both. */
export const pageRule = z
  .object({ first: pageSize, last: pageSize, after: cursor, before: cursor, search: searchRule.nullish() })
  .superRefine(({ first, last, after, before }, { addIssue }) => {
    const clash = (path: string, other: string) =>
      addIssue({ code: 'custom', path: [path], message: `It cannot be combined with ${other}.` })
    if (first != null && last != null) clash('last', 'first')
    if (after != null && before != null) clash('before', 'after')
    else if (after != null && last != null) clash('last', 'after')
    else if (before != null && first != null) clash('first', 'before')
  })

/** The row's id in a cursor as Pothos's Prisma plugin writes it (`GPC:S:<id>` in base64). */
function rowIdIn(text: string): string {
  return /^GPC:S:(.*)$/.exec(Buffer.from(text, 'base64').toString())?.[1] ?? ''
}

/**
 * Turns Prisma's page by cursor, which looks up the cursor's row, into a page by comparison with the cursor's id. A
 * removed row's cursor then still marks a place in the order, and another account's cursor reveals nothing.
 */
export function pageByComparison<
  Query extends { cursor?: { id?: string | undefined }; skip: number; take: number },
>({ cursor: from, skip: _skip, ...rest }: Query, order: 'asc' | 'desc') {
  const forwards = rest.take >= 0
  const id = from?.id
  const beyond = id === undefined ? {} : { id: forwards === (order === 'asc') ? { gt: id } : { lt: id } }
  return { page: { ...rest, orderBy: { id: order } }, beyond }
}

/** A filter for text that contains `search`. Prisma itself does not escape % and _. */
export function containing(search: string) {
  return { contains: search.replace(/[\\%_]/g, '\\$&'), mode: 'insensitive' as const }
}

/** The cost of a page: that of one row, times the most rows it may have, and of the statements for rows and count. */
export function pageCost({
  first,
  last,
}: {
  first?: number | null | undefined
  last?: number | null | undefined
}) {
  return { field: 2 * statementCost, multiplier: first ?? last ?? defaultPageRows }
}
