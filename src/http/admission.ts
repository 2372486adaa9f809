import { hasScope, type Principal } from '../domain/principal.ts'
import { OverloadedError } from '../errors.ts'
import { extensionsOf } from './mask-error.ts'

export interface AdmissionOptions {
  /** Whether calls would wait too long to be metered. */
  meter: { readonly isFull: boolean }
  /** How many statements wait for a connection to the database now, and may wait at the most. */
  waitingQueries: () => number
  maxWaitingQueries: number
}

/** Says no while there is too much to do, before anything is done for an operation: refusing has to be cheap. */
export interface Admission {
  /** Why an operation of this principal is refused; undefined where it is not. */
  refusalOf(principal: Principal | null): string | undefined
  /** Further connections are sent away before operations on those that there are have to be. */
  readonly refusesConnections: boolean
}

const tooManyCalls = 'Too many calls are waiting. Try again in a moment.'
const tooManyQueries = 'Too many operations are waiting for the database. Try again in a moment.'

/** A gateway stands in the meter's line alone, and everyone else in the one for connections to the database. */
export function createAdmission({ meter, waitingQueries, maxWaitingQueries }: AdmissionOptions): Admission {
  return {
    refusalOf(principal) {
      if (principal === null) return undefined
      if (principal.accountExternalId === undefined && !hasScope(principal, 'admin'))
        return meter.isFull ? tooManyCalls : undefined
      return waitingQueries() >= maxWaitingQueries ? tooManyQueries : undefined
    },
    get refusesConnections() {
      return waitingQueries() >= maxWaitingQueries / 2
    },
  }
}

const written = new Map<string, string>()

/**
 * An OVERLOADED error of this message in a list of errors, as JSON. Made once: an error with its stack for each of many
 * thousand refusals a second would cost more than the operations do.
 */
export function overloadErrors(message: string): string {
  const errors =
    written.get(message) ??
    JSON.stringify([{ message, extensions: extensionsOf(new OverloadedError(message)) }])
  written.set(message, errors)
  return errors
}
