import { validate } from 'uuid'
import { z } from 'zod'
import { searchRule } from '../domain/text.ts'

const pageSize = z.int().min(1, 'From 1 to 100.').max(100, 'From 1 to 100.').nullish()
const cursor = z
  .string()
  .refine(
    (text) => validate(rowIdIn(text)),
    'It is not a cursor of this connection. Take one from an edge or from pageInfo.',
  )
  .nullish()

/** Everything that can be wrong with a page that is asked for; forwards or backwards, never both. */
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
 * Turns Prisma's page by cursor, which looks the cursor's row up, into a page by comparison with the cursor's
 * id. A row that has been removed or belongs to another account is then a place in the order like any other:
 * no page is lost with it, and nothing can be learnt from it.
 */
export function pageByComparison<
  Query extends { cursor?: { id?: string | undefined }; skip: number; take: number },
>({ cursor: from, skip: _skip, ...rest }: Query, order: 'asc' | 'desc') {
  const forwards = rest.take >= 0
  const id = from?.id
  const beyond = id === undefined ? {} : { id: forwards === (order === 'asc') ? { gt: id } : { lt: id } }
  return { page: { ...rest, orderBy: { id: order } }, beyond }
}

/** A search as Prisma's `contains` takes it, which would read % and _ as wildcards. */
export function containing(search: string) {
  return { contains: search.replace(/[\\%_]/g, '\\$&'), mode: 'insensitive' as const }
}

/** Rows of a page that says nothing of its size. */
export const defaultPageSize = 20

/** What a page costs: what is asked of a row, as many times as it may have rows. */
export function pageCost({
  first,
  last,
}: {
  first?: number | null | undefined
  last?: number | null | undefined
}) {
  return { field: 1, multiplier: first ?? last ?? defaultPageSize }
}
