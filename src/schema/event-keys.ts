import type { LiveUsageEvent } from '../domain/live-usage/count-list.ts'
import type { ApiKey, Prisma } from '../generated/prisma/client.ts'
import type { Context } from './context.ts'
import { everApiKeysInScope } from './tenant-scope.ts'

/** What Pothos adds to the query for a key. It always asks for all columns. */
type KeyQuery = Pick<Prisma.ApiKeyFindManyArgs, 'include' | 'select'>

type Rows = Map<string, ApiKey>

/** The reads for one version of an account's counts, by the keys that they read. */
type Reads = Map<string, Promise<Rows>>

/**
 * A key of a live event. It is read together with the other keys of the event, once for all subscribers that select the
 * same of them and may see the same: an account may have thousands, and each change is an event for all.
 */
export async function keyOfEvent(
  event: LiveUsageEvent,
  apiKeyId: string,
  query: KeyQuery,
  context: Context,
): Promise<ApiKey> {
  const name = JSON.stringify([everApiKeysInScope(context), query])
  const reads = (event.shared.get(name) as Reads | undefined) ?? new Map()
  event.shared.set(name, reads)
  const read: Promise<Rows> = reads.get(apiKeyId) ?? readKeys(event, reads, query, context)
  const row = (await read).get(apiKeyId)
  if (!row) throw new Error(`There is no key ${apiKeyId}.`)
  return row
}

/** Reads the keys of an event that nobody has read. */
function readKeys(event: LiveUsageEvent, reads: Reads, query: KeyQuery, context: Context): Promise<Rows> {
  const ids = event.apiKeys.flatMap(({ apiKeyId }) => (reads.has(apiKeyId) ? [] : apiKeyId))
  const read = context.prisma.apiKey
    .findMany({ ...query, where: { id: { in: ids }, ...everApiKeysInScope(context) } })
    .then((rows) => new Map(rows.map((row) => [row.id, row])))
  for (const id of ids) reads.set(id, read)
  // Those that wait have their error. Those that come later read again.
  read.catch(() => {
    for (const id of ids) reads.delete(id)
  })
  return read
}
