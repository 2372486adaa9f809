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

/**
 * Admission control: refuses an operation before any work is done for it. Gateways wait only for the meter; everyone
 * else waits for the database's general pool.
 */
export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Why an operation of this principal is refused; undefined where it is admitted. */
  refusalFor(principal: Principal | null): OverloadedError | undefined {
    if (principal === null) return undefined
    const { meter, waitingQueries, maxWaitingQueries } = this.#options
    if (isGateway(principal)) return meter.isFull ? tooManyCalls : undefined
    return waitingQueries() >= maxWaitingQueries ? tooManyQueries : undefined
  }

  /** New connections are refused earlier than operations on existing ones. */
  get refusesConnections(): boolean {
    const { waitingQueries, maxWaitingQueries } = this.#options
    return waitingQueries() >= maxWaitingQueries / 2
  }
}

function isGateway(principal: Principal): boolean {
  return principal.accountExternalId === undefined && !hasScope(principal, 'admin')
}
