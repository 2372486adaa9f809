/**
 * PostgreSQL's codes for a conflict with what another session did at the same moment: a row that is referred to was
 * removed (23503), serialization (40001), deadlock (40P01), and a lock that was not available in time (55P03).
 */
const conflict = /^(23503|40001|40P01|55P03)$/

/** Each attempt sees what the one before conflicted with, so one more is nearly always enough. */
const attempts = 20

/** Runs a transaction again if it failed because of a conflict with another one, after which nothing of it remains. */
export async function retryingConflicts<Result>(transaction: () => Promise<Result>): Promise<Result> {
  for (let left = attempts - 1; ; left--) {
    try {
      return await transaction()
    } catch (error) {
      const { code } = error as { code?: unknown }
      if (left === 0 || typeof code !== 'string' || !conflict.test(code)) throw error
    }
  }
}
