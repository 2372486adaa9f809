import { hasScope, type Principal } from '../domain/principal.ts'
import { OverloadedError } from '../errors.ts'

export interface AdmissionOptions {
  /** Whether metered calls would wait too long. */
  meter: { readonly isFull: boolean }
  /** The number of statements that wait for a database connection. */
  waitingQueries: () => number
  maxWaitingQueries: number
}

// Made once: an error with its stack for each of many thousand refusals a second would cost more than the operations.
const tooManyCalls = new OverloadedError('Too many calls are waiting. Try again in a moment.')
const tooManyQueries = new OverloadedError(
  'Too many operations are waiting for the database. Try again in a moment.',
)

/** Below this share of the longest queue, no operation is refused. */
const shareAfter = 0.5

/** Accounts with less than their share are admitted until the queue is this many times as long as it should be. */
const hardLimit = 2

const nothing = () => {}

/**
 * Admission control: refuses an operation before any work is done for it. Gateways wait only for the meter, and nothing
 * that customers do refuses them. Everyone else waits for the database's general pool, and each account, or each token
 * without one, has a fair share: while the queue is long, those with at least the average number of operations in
 * flight are refused, and the others are not.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #inFlight = new Map<string, number>()
  #total = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Why an operation of this principal is refused; undefined where it is admitted. */
  refusalFor(principal: Principal | null): OverloadedError | undefined {
    if (principal === null) return undefined
    if (isGateway(principal)) return this.#options.meter.isFull ? tooManyCalls : undefined
    return this.#isOverShare(principal, 1) ? tooManyQueries : undefined
  }

  /** Counts an operation that was admitted. Returns a function that says that it has ended, and may be called again. */
  begin(principal: Principal | null): () => void {
    if (principal === null || isGateway(principal)) return nothing
    const key = keyOf(principal)
    this.#inFlight.set(key, (this.#inFlight.get(key) ?? 0) + 1)
    this.#total++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#total--
      const left = (this.#inFlight.get(key) ?? 0) - 1
      if (left > 0) this.#inFlight.set(key, left)
      else this.#inFlight.delete(key)
    }
  }

  /** New connections are refused earlier than operations on existing ones, and a gateway's never. */
  refusesConnectionOf(principal: Principal | null): boolean {
    if (principal !== null) return !isGateway(principal) && this.#isOverShare(principal, 0.5)
    const { waitingQueries, maxWaitingQueries } = this.#options
    return waitingQueries() >= maxWaitingQueries / 2
  }

  /** @param strictness the share of `maxWaitingQueries` that counts as a full queue */
  #isOverShare(principal: Principal, strictness: number): boolean {
    const { waitingQueries, maxWaitingQueries } = this.#options
    const waiting = waitingQueries()
    const full = maxWaitingQueries * strictness
    if (waiting < full * shareAfter) return false
    if (waiting >= maxWaitingQueries * hardLimit) return true
    const own = this.#inFlight.get(keyOf(principal)) ?? 0
    const accounts = this.#inFlight.size
    const isAboveAverage = own > 0 && own * accounts >= this.#total
    const hasCompetitors = accounts > 1
    return isAboveAverage && (waiting >= full || hasCompetitors)
  }
}

function keyOf({ accountExternalId, subject }: Principal): string {
  return accountExternalId === undefined ? `token ${subject}` : `account ${accountExternalId}`
}

function isGateway(principal: Principal): boolean {
  return principal.accountExternalId === undefined && !hasScope(principal, 'admin')
}
