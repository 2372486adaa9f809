/** Bounds the WebSockets and event streams that each account holds open on this server. */
export class ConnectionQuota {
  readonly #perAccount: number
  readonly #open = new Map<string, number>()

  constructor(perAccount: number) {
    this.#perAccount = perAccount
  }

  /**
   * Acquires a connection for an account, by its external id. Tokens without an account (gateways, operators) are not
   * bounded.
   * @returns a function that releases it and may be called again; null if the account is at its limit
   */
  acquire(account: string | undefined): (() => void) | null {
    if (account === undefined) return () => {}
    const open = this.#open.get(account) ?? 0
    if (open >= this.#perAccount) return null
    this.#open.set(account, open + 1)
    let released = false
    return () => {
      if (released) return
      released = true
      const left = (this.#open.get(account) ?? 0) - 1
      if (left > 0) this.#open.set(account, left)
      else this.#open.delete(account)
    }
  }
}
