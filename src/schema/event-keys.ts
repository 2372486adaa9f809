import type { LiveUsageEvent } from '../domain/live-usage/count-list.ts'

type Read<Row> = Promise<Map<string, Row>>

/**
 * A key of a live event; undefined if there is none. It is read together with the other keys of the event, once for all
 * subscribers that ask for the same: an account may have thousands, and each change is an event for all.
 * @param name says what is read of the keys, and of which accounts
 */
export async function keyOfEvent<Row extends { id: string }>(
  { apiKeys, shared }: LiveUsageEvent,
  apiKeyId: string,
  name: string,
  read: (ids: string[]) => Promise<Row[]>,
): Promise<Row | undefined> {
  const reads = (shared.get(name) as Map<string, Read<Row>> | undefined) ?? new Map<string, Read<Row>>()
  shared.set(name, reads)
  return (await (reads.get(apiKeyId) ?? begin(reads, apiKeys, read))).get(apiKeyId)
}

/** Reads the keys of an event that are not among the keys of another one of the same counts. */
function begin<Row extends { id: string }>(
  reads: Map<string, Read<Row>>,
  apiKeys: LiveUsageEvent['apiKeys'],
  read: (ids: string[]) => Promise<Row[]>,
): Read<Row> {
  const ids = apiKeys.flatMap(({ apiKeyId }) => (reads.has(apiKeyId) ? [] : apiKeyId))
  const rows = read(ids).then((found) => new Map(found.map((row) => [row.id, row])))
  for (const id of ids) reads.set(id, rows)
  // Those that wait have their error. Those that come later read again.
  rows.catch(() => {
    for (const id of ids) reads.delete(id)
  })
  return rows
}
