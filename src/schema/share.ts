/** What one owner may use of what all operations share. */
export interface Share {
  /** Executes an operation as soon as a slot is free. */
  operation<T>(run: () => Promise<T> | T): Promise<T>
  /** Runs a statement as soon as a database connection is free. It must not wait for another one. */
  statement<T>(run: () => Promise<T>): Promise<T>
  /**
   * Asks for a part of a turn of the event loop, `weight` fields long. Undefined where the work may be done at once;
   * otherwise resolves in a later turn.
   */
  turn(weight: number): Promise<void> | undefined
}
