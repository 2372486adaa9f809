import { hasScope, type Principal } from '../domain/principal.ts'
import { OverloadedError } from '../errors.ts'

export interface AdmissionOptions {
  /** Whether metered calls would wait too long. */
  meter: { readonly isFull: boolean }
  /** Operations in flight, metering and subscriptions left out. Few of them are executed at a time; the rest waits. */
  maxOperations: number
}

// Made once: an error with its stack for each of many thousand refusals a second would cost more than the operations.
const tooManyCalls = new OverloadedError('Too many calls are waiting. Try again in a moment.')
const tooManyOperations = new OverloadedError(
  'Too many operations are waiting for their turn. Try again in a moment.',
)

/** Below this share of the longest queue, no operation is refused. */
const shareAfter = 0.5

/** Accounts with less than their share are admitted until the queue is this many times as long as it should be. */
const hardLimit = 2

const nothing = () => {}

/**
 * Admission control: refuses an operation before any work is done for it. Gateways wait only for the meter, and nothing
 * that customers do refuses them. Everyone else's operations are executed a few at a time (`FairShare`), and each
 * account, or each token without one, has a fair share of the queue: while it is long, those with at least the average
 * number of operations in flight are refused, and the others are not.
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
    return this.#isOverShare(principal, 1) ? tooManyOperations : undefined
  }

  /** Counts an operation that was admitted. Returns a function that says that it has ended, and may be called again. */
  begin(principal: Principal | null): () => void {
    if (principal === null || isGateway(principal)) return nothing
    const owner = ownerOf(principal)
    this.#inFlight.set(owner, (this.#inFlight.get(owner) ?? 0) + 1)
    this.#total++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      this.#total--
      const left = (this.#inFlight.get(owner) ?? 0) - 1
      if (left > 0) this.#inFlight.set(owner, left)
      else this.#inFlight.delete(owner)
    }
  }

  /** New connections are refused earlier than operations on existing ones, and a gateway's never. */
  refusesConnectionOf(principal: Principal | null): boolean {
    if (principal === null) return this.#total >= this.#options.maxOperations / 2
    return !isGateway(principal) && this.#isOverShare(principal, 0.5)
  }

  /** @param strictness the share of `maxOperations` that counts as a full queue */
  #isOverShare(principal: Principal, strictness: number): boolean {
    const { maxOperations } = this.#options
    const full = maxOperations * strictness
    if (this.#total < full * shareAfter) return false
    if (this.#total >= maxOperations * hardLimit) return true
    const own = this.#inFlight.get(ownerOf(principal)) ?? 0
    const owners = this.#inFlight.size
    const isAboveAverage = own > 0 && own * owners >= this.#total
    const hasCompetitors = owners > 1
    return isAboveAverage && (this.#total >= full || hasCompetitors)
  }
}

/** Who an operation's share is taken from: the account that the token names, or the token itself. */
export function ownerOf(principal: Principal | null): string {
  if (principal === null) return 'nobody'
  const { accountExternalId, subject } = principal
  return accountExternalId === undefined ? `token ${subject}` : `account ${accountExternalId}`
}

function isGateway(principal: Principal): boolean {
  return principal.accountExternalId === undefined && !hasScope(principal, 'admin')
}
