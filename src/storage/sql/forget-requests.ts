/** An arbitrary number that every server uses. */
const advisoryLock = 7_201_846_132

/**
 * Removes ids of calls that count no longer, unless another server is at it. The lock is tried once, before anything is
 * read, and lasts until the end of the statement.
 *
 * $1 calls before this instant · $2 the most rows
 */
export const forgetRequestsStatement = {
  name: 'latchkey-forget-requests',
  text: `
    delete from metered_request
    where ctid = any (array(
      select ctid from metered_request
      where at <= $1::timestamptz and (select pg_try_advisory_xact_lock(${advisoryLock}))
      order by at
      limit $2
    ))`,
}
