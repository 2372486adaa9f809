import type { Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg'

/**
 * Sends a statement over one of the pool's connections and rejects as soon as `timeUp` aborts. A statement that was
 * already sent may still be executed, but its connection is closed, so nothing waits behind it.
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
      // Too late for this statement, but usable for the next.
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
