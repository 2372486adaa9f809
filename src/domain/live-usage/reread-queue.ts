/** Runs a bounded number of reads at a time, the oldest request first. */
export class RereadQueue {
  readonly #most: number
  readonly #waiting = new Set<() => Promise<void>>()
  #running = 0

  /** @param most how many reads may run at the same time */
  constructor(most: number) {
    this.#most = most
  }

  /** Runs `read`, which must not reject, in a microtask or later. A read that waits already keeps its place. */
  add(read: () => Promise<void>): void {
    this.#waiting.add(read)
    queueMicrotask(() => this.#start())
  }

  remove(read: () => Promise<void>): void {
    this.#waiting.delete(read)
  }

  #start(): void {
    for (const read of this.#waiting) {
      if (this.#running === this.#most) return
      this.#waiting.delete(read)
      this.#running++
      void read().finally(() => {
        this.#running--
        this.#start()
      })
    }
  }
}
