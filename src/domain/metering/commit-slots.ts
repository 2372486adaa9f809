/** A batch of this many calls gets hardly cheaper per call by growing, so it need not wait for the commit ahead. */
const largeBatchCalls = 128

/**
 * Decides when a batch may be committed beside another. Small batches wait for the commit under way: one at a time
 * makes larger batches, which cost less per call and do not wait for each other's row locks. Large batches, and those
 * behind a slow commit, take a second slot.
 */
export class CommitSlots {
  /** A commit that takes longer is slow. */
  static readonly slowCommitMs = 10

  readonly #maxCommits: number
  readonly #elapsed: () => number
  /** When each commit under way began, oldest first. */
  readonly #commits: { startedAtMs: number }[] = []

  constructor(maxCommits: number, elapsed: () => number) {
    this.#maxCommits = maxCommits
    this.#elapsed = elapsed
  }

  get areAllTaken(): boolean {
    return this.#commits.length >= this.#maxCommits
  }

  /** Whether a batch of so many calls may be committed now. */
  mayBegin(calls: number): boolean {
    const [oldest] = this.#commits
    if (!oldest) return true
    if (this.areAllTaken) return false
    return calls >= largeBatchCalls || this.#elapsed() - oldest.startedAtMs >= CommitSlots.slowCommitMs
  }

  /** Takes a slot. Returns the function that releases it. */
  acquire(): () => void {
    const commit = { startedAtMs: this.#elapsed() }
    this.#commits.push(commit)
    return () => {
      this.#commits.splice(this.#commits.indexOf(commit), 1)
    }
  }
}
