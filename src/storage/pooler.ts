import { Client } from 'pg'
import type { DatabaseServer } from './database.ts'
import { connecting } from './migrate.ts'

/** `DATABASE_URL` leads to a pooler whose clients share the database's sessions. */
export class SharedSessionsError extends Error {}

/** Other clients of the pooler may take sessions in between, so that one comparison could miss that they are shared. */
const comparisons = 5

/**
 * Refuses a pooler in transaction or statement mode. There, settings, time limits, prepared statements and the lock of
 * migrations get lost or reach other clients, because each transaction may use another of the pooler's sessions. Such a
 * pooler is recognised by two open connections that use the same session, or by one that changes its session.
 * @throws SharedSessionsError, NoConnectionError
 */
export async function refuseSharedSessions({ url, connectTimeoutMs }: DatabaseServer): Promise<void> {
  const clients = [0, 1].map(() => {
    const timeouts = { connectionTimeoutMillis: connectTimeoutMs, query_timeout: connectTimeoutMs }
    const client = new Client({ connectionString: url, application_name: 'latchkey', ...timeouts })
    // The statement that fails says why.
    return client.on('error', () => {})
  })
  try {
    await Promise.all(clients.map((client) => connecting(client.connect())))
    if (!(await shareSessions(clients))) return
  } finally {
    for (const client of clients) void client.end().catch(() => {})
  }
  throw new SharedSessionsError(
    'DATABASE_URL leads to a pooler in transaction or statement mode, which Latchkey does not support. Use session ' +
      'mode (PgBouncer: pool_mode = session), or connect to PostgreSQL directly.',
  )
}

async function shareSessions(clients: readonly Client[]): Promise<boolean> {
  const sessions = clients.map(() => new Set<number | undefined>())
  for (let i = 0; i < comparisons; i++) {
    for (const [number, client] of clients.entries()) {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      sessions[number]?.add(rows[0]?.pid)
    }
  }
  return (
    new Set(sessions.flatMap((pids) => [...pids])).size !== clients.length ||
    sessions.some(({ size }) => size !== 1)
  )
}
