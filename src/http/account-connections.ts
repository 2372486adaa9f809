/** How many WebSockets and event streams each account holds open on this server. */
export class AccountConnections {
  readonly #most: number
  readonly #open = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /**
   * Takes a place for an account, by its external id; who has none (a gateway, an operator) always gets one.
   * Returns what gives it back, which may be called again; null where all of the account's are taken.
   */
  take(account: string | undefined): (() => void) | null {
    if (account === undefined) return () => {}
    const open = this.#open.get(account) ?? 0
    if (open >= this.#most) return null
    this.#open.set(account, open + 1)
    let given = false
    return () => {
      if (given) return
      given = true
      const left = (this.#open.get(account) ?? 0) - 1
      if (left > 0) this.#open.set(account, left)
      else this.#open.delete(account)
    }
  }
}
