/** Prisma's codes for a database that is out of reach, closes the connection, or does not answer in time. */
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

/** What Node.js says of connections. */
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
 * PostgreSQL's classes of SQLSTATE for which the database, not the statement, is at fault: connection (08),
 * read-only (25006), resources (53), operator intervention and time-outs (57), system error (58), and a lock
 * that was not to be had in time (55P03). https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const sqlStates = /^(08|53|57|58)...$|^25006$|^55P03$/

/** pg says these without a code. */
const messages =
  /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Cannot use a pool after calling end/

/** Where Prisma keeps PostgreSQL's own code of what it has no code for. */
interface PrismaMeta {
  driverAdapterError?: { cause?: { originalCode?: unknown } }
}

/** Whether an error of Prisma's or pg's means that the database does not answer, as against a defect. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errorCode, meta } = error as { code?: unknown; errorCode?: unknown; meta?: PrismaMeta }
  for (const one of [code, errorCode, meta?.driverAdapterError?.cause?.originalCode]) {
    if (typeof one === 'string' && (prismaCodes.has(one) || systemCodes.has(one) || sqlStates.test(one)))
      return true
  }
  return messages.test(error.message) || isUnavailable(error.cause)
}
