import { DatabaseError } from 'pg'

/** Prisma's codes for a database that is unreachable, closes the connection, or does not answer in time. */
const prismaCodes = new Set([
  'P1000',
  'P1001',
  'P1002',
  'P1003',
  'P1008',
  'P1011',
  'P1017',
  'P2024',
  'P2028',
  'P2037',
])

/** Node.js's codes for failed connections. */
const systemCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EAI_AGAIN',
])

/**
 * PostgreSQL's SQLSTATE classes for faults of the database rather than the statement: connection (08), read-only
 * (25006), resources (53), operator intervention and timeouts (57), system error (58), and a lock that was not
 * available in time (55P03). https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const sqlStates = /^(08|53|57|58)...$|^25006$|^55P03$/

/** pg's errors that have neither a code nor a class. */
const messages =
  /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Cannot use a pool after calling end/

/** Where Prisma keeps PostgreSQL's code if it has none of its own. */
interface PrismaMeta {
  driverAdapterError?: { cause?: { originalCode?: unknown } }
}

/** Whether an error from Prisma or pg means that the database is unavailable, rather than a defect. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errorCode, meta } = error as { code?: unknown; errorCode?: unknown; meta?: PrismaMeta }
  const originalCode = meta?.driverAdapterError?.cause?.originalCode
  for (const one of [code, errorCode, originalCode]) {
    if (typeof one === 'string' && (prismaCodes.has(one) || systemCodes.has(one) || sqlStates.test(one)))
      return true
  }
  // PostgreSQL's own messages may quote a caller.
  const isPostgres = error instanceof DatabaseError || originalCode !== undefined
  return (!isPostgres && messages.test(error.message)) || isUnavailable(error.cause)
}
