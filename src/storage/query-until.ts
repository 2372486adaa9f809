import type { Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg'

/**
 * Sends a statement over a connection of the pool, and gives up as soon as `timeUp` says so: what was sent by then
 * may still be carried out, but its connection is closed, so that nobody else waits behind it.
 * @throws the signal's reason; whatever the connection or the statement fails with
 */
export function queryUntil<Row extends QueryResultRow>(
  pool: Pool,
  timeUp: AbortSignal,
  statement: QueryConfig,
  values: unknown[] = [],
): Promise<QueryResult<Row>> {
  return new Promise((resolve, reject) => {
    let client: PoolClient | undefined
    let over = false
    const end = (error?: Error) => {
      over = true
      timeUp.removeEventListener('abort', giveUp)
      client?.release(error)
    }
    const giveUp = () => {
      end(timeUp.reason)
      reject(timeUp.reason)
    }
    if (timeUp.aborted) return reject(timeUp.reason)
    timeUp.addEventListener('abort', giveUp)
    pool.connect((connectError, connected) => {
      // A connection that came too late is as good as any for the next one.
      if (over) return connected?.release()
      client = connected
      if (connectError || !client) {
        end()
        return reject(connectError)
      }
      client.query<Row>({ ...statement, values }, (error, result) => {
        if (over) return
        end(error ?? undefined)
        if (error) reject(error)
        else resolve(result)
      })
    })
  })
}
