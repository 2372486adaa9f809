/** First in, first out for each owner, and the owners one after the other. */
export class RoundRobin<Owner, Item> {
  /** In the order in which the owners are served. None is empty. */
  readonly #queues = new Map<Owner, Item[]>()

  #size = 0

  get size(): number {
    return this.#size
  }

  add(owner: Owner, item: Item): void {
    const queue = this.#queues.get(owner)
    if (queue) queue.push(item)
    else this.#queues.set(owner, [item])
    this.#size++
  }

  /** Whether there is an item of an owner that may be served. */
  holdsOneFrom(mayServe: (owner: Owner) => boolean): boolean {
    for (const owner of this.#queues.keys()) if (mayServe(owner)) return true
    return false
  }

  /** The next item of the first owner that may be served. That owner then comes last. */
  take(mayServe: (owner: Owner) => boolean = () => true): { owner: Owner; item: Item } | undefined {
    for (const [owner, queue] of this.#queues) {
      if (!mayServe(owner)) continue
      const item = queue.shift() as Item
      this.#size--
      this.#queues.delete(owner)
      if (queue.length > 0) this.#queues.set(owner, queue)
      return { owner, item }
    }
    return undefined
  }
}
