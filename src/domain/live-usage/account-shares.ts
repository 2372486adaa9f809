/** Shares the database connections and the event loop among accounts. */
export interface AccountShares {
  /** Runs a statement as soon as the account may use a database connection. */
  statement<T>(accountId: string, run: () => Promise<T>): Promise<T>
  /**
   * What to await before work is done for the account on the event loop.
   * @param weight how much work it is, in fields resolved
   */
  turn(accountId: string, weight: number): Promise<void> | undefined
}
