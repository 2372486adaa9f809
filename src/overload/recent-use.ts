/** What an owner has used is forgotten by half in this time. */
const halfLifeMs = 1_000

/**
 * Owners that differ by less than this, in fields resolved, have used the same: a few of the largest operations. With
 * less, a customer that asks steadily would make way for one that has asked for nothing yet.
 */
const slack = 20_000

/** As many owners are remembered besides those that are active. */
const remembered = 1_000

/** For how long an owner's operation is made way for. One that waits for a lock would otherwise hold up everyone. */
const yieldMs = 250

interface Use {
  fields: number
  /** When `fields` was true. */
  atMs: number
  /** Operations and statements under way or waiting. */
  active: number
  /** When the last of these began. */
  beganAtMs: number
}

/**
 * Remembers how much each owner has used lately, and who must make way: an owner that has used more than another
 * one whose operation is under way. Serving owners in turn is not enough: between any two steps of a small operation,
 * a large one would take a step that is many times as long.
 */
export class RecentUse {
  readonly #byOwner = new Map<string, Use>()
  readonly #active = new Set<Use>()

  /** The owners that are remembered. */
  get size(): number {
    return this.#byOwner.size
  }

  /** An operation or a statement of this owner begins, or waits. */
  begin(owner: string, nowMs: number): void {
    const use = this.#of(owner, nowMs)
    use.active++
    use.beganAtMs = nowMs
    this.#active.add(use)
  }

  end(owner: string): void {
    const use = this.#byOwner.get(owner)
    if (use && --use.active === 0) this.#active.delete(use)
  }

  /** @param fields how long something took, in fields resolved */
  add(owner: string, fields: number, nowMs: number): void {
    const use = this.#of(owner, nowMs)
    use.fields = remaining(use, nowMs) + fields
    use.atMs = nowMs
  }

  /** Says of any owner whether it must make way at this moment. */
  mustYieldAt(nowMs: number): (owner: string) => boolean {
    let least = Number.POSITIVE_INFINITY
    for (const use of this.#active)
      if (nowMs - use.beganAtMs < yieldMs) least = Math.min(least, remaining(use, nowMs))
    const most = least + slack
    return (owner) => {
      const use = this.#byOwner.get(owner)
      return use !== undefined && remaining(use, nowMs) > most
    }
  }

  #of(owner: string, nowMs: number): Use {
    const known = this.#byOwner.get(owner)
    if (known) return known
    if (this.#byOwner.size >= this.#active.size + 2 * remembered) this.#forget(nowMs)
    const use = { fields: 0, atMs: nowMs, active: 0, beganAtMs: nowMs }
    this.#byOwner.set(owner, use)
    return use
  }

  /** Forgets half of those that are not active: first those that have used next to nothing. */
  #forget(nowMs: number): void {
    const inactive = [...this.#byOwner].filter(([, use]) => use.active === 0)
    inactive.sort(([, a], [, b]) => remaining(a, nowMs) - remaining(b, nowMs))
    for (const [owner] of inactive.slice(0, remembered)) this.#byOwner.delete(owner)
  }
}

function remaining({ fields, atMs }: Use, nowMs: number): number {
  return fields * 0.5 ** ((nowMs - atMs) / halfLifeMs)
}
