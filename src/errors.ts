/** Every code a caller can meet in an error; docs/errors.md says what each means and what to do. */
export type LatchkeyErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'NOT_FOUND'
  | 'API_KEY_LIMIT_REACHED'
  | 'QUERY_TOO_COMPLEX'
  | 'OVERLOADED'
  | 'UNAVAILABLE'
  | 'INTERNAL_SERVER_ERROR'

/** One thing wrong with an input: where (`['input', 'note']`) and what to do about it. */
export interface InputIssue {
  path: string[]
  message: string
}

/**
 * The base of every error that is meant for a caller. `message` is written for that caller and holds nothing
 * internal; what really happened travels in `cause` and is only logged.
 */
export abstract class LatchkeyError extends Error {
  abstract readonly code: LatchkeyErrorCode

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** No token, or one that is not (or no longer) good. */
export class UnauthenticatedError extends LatchkeyError {
  readonly code = 'UNAUTHENTICATED'
}

/** The token is good, but lacks a scope. */
export class ForbiddenError extends LatchkeyError {
  readonly code = 'FORBIDDEN'
}

/** The request cannot be carried out as it was put; nothing was changed. */
export class InvalidInputError extends LatchkeyError {
  readonly code = 'BAD_USER_INPUT'
  readonly issues: InputIssue[]

  constructor(issues: InputIssue[], options?: ErrorOptions) {
    super(
      issues.map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message)).join('; '),
      options,
    )
    this.issues = issues
  }
}

/** Unknown, removed or another account's: the three are never told apart. */
export class NotFoundError extends LatchkeyError {
  readonly code = 'NOT_FOUND'
}

/** The plan's number of keys is in use. */
export class ApiKeyLimitReachedError extends LatchkeyError {
  readonly code = 'API_KEY_LIMIT_REACHED'
  readonly limit: number
  readonly planId: string

  constructor(limit: number, planId: string) {
    const keys = limit === 1 ? '1 API key' : `${limit} API keys`
    super(`The plan allows ${keys}. Remove one, or change to a plan that allows more.`)
    this.limit = limit
    this.planId = planId
  }
}

/** The operation is deeper, wider, longer or costlier than the server takes. */
export class QueryTooComplexError extends LatchkeyError {
  readonly code = 'QUERY_TOO_COMPLEX'
}

/** A bounded queue is full. Nothing was done; try again later. */
export class OverloadedError extends LatchkeyError {
  readonly code = 'OVERLOADED'
}

/** Something the server depends on did not answer. What was asked may or may not have been done. */
export class UnavailableError extends LatchkeyError {
  readonly code = 'UNAVAILABLE'
}

/** A defect. The cause is logged and never shown. */
export class InternalError extends LatchkeyError {
  readonly code = 'INTERNAL_SERVER_ERROR'
}
