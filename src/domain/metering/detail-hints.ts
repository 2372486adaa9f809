import { LRUCache } from 'lru-cache'
import { fixedLimits } from '../../limits.ts'
import type { CallGroup, GroupVerdict, Needs } from './usage-store.ts'

const nothing: Needs = { resources: false, addresses: false }

/**
 * Remembers which secrets' calls must be grouped by address or resource, too. Only a hint: a wrong one costs a second
 * round, and never changes a decision, because the database judges every group by the key as it is.
 */
export class DetailHints {
  readonly #needs = new LRUCache<string, Needs>({ max: fixedLimits.detailHints })

  /** What the calls with this secret must probably be grouped by. */
  of(digest: Uint8Array): Needs {
    return (this.#needs.size > 0 && this.#needs.get(nameOf(digest))) || nothing
  }

  /** Takes in what a round found. */
  learn({ digest, address, resourceType }: CallGroup, verdict: GroupVerdict): void {
    const { resources, addresses } = verdict?.needs ?? nothing
    if (resources === (resourceType !== null) && addresses === (address !== null)) return
    if (resources || addresses) this.#needs.set(nameOf(digest), { resources, addresses })
    else this.#needs.delete(nameOf(digest))
  }
}

const nameOf = (digest: Uint8Array) => Buffer.from(digest).toString('latin1')
