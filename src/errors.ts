import { fixedLimits } from './limits.ts'

/** The codes of all errors; docs/errors.md explains each and what to do about it. */
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

/** One problem with an input: where it is (`['input', 'note']`) and what to do about it. */
export interface InputIssue {
  path: string[]
  message: string
}

/** A text of an error within `errorMessageLength`. */
export function shortened(text: string): string {
  const { errorMessageLength } = fixedLimits
  return text.length > errorMessageLength ? `${text.slice(0, errorMessageLength)}…` : text
}

/**
 * The base of all errors meant for callers. `message` is written for the caller and reveals nothing internal. The
 * internal error is the `cause`, which is only logged.
 */
export abstract class LatchkeyError extends Error {
  abstract readonly code: LatchkeyErrorCode

  constructor(message: string, options?: ErrorOptions) {
    super(shortened(message), options)
    this.name = new.target.name
  }
}

/** There is no token, or it is invalid or expired. */
export class UnauthenticatedError extends LatchkeyError {
  readonly code = 'UNAUTHENTICATED'
}

/** The token is valid, but lacks a scope. */
export class ForbiddenError extends LatchkeyError {
  readonly code = 'FORBIDDEN'
}

/** The request is invalid. Nothing was changed. */
export class InvalidInputError extends LatchkeyError {
  readonly code = 'BAD_USER_INPUT'
  readonly issues: InputIssue[]

  constructor(issues: InputIssue[], options?: ErrorOptions) {
    super(
      issues.map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message)).join('; '),
      options,
    )
    this.issues = issues.map(({ path, message }) => ({
      path: path.map(shortened),
      message: shortened(message),
    }))
  }
}

/** Unknown, removed, or another account's. Callers cannot tell which. */
export class NotFoundError extends LatchkeyError {
  readonly code = 'NOT_FOUND'
}

/** The account has as many keys as its plan allows. */
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

/** The operation exceeds a limit on its depth, breadth, length or cost. */
export class QueryTooComplexError extends LatchkeyError {
  readonly code = 'QUERY_TOO_COMPLEX'
}

/** A bounded queue is full. Nothing was done. */
export class OverloadedError extends LatchkeyError {
  readonly code = 'OVERLOADED'
}

/** Something the server depends on did not answer. The operation may or may not have been executed. */
export class UnavailableError extends LatchkeyError {
  readonly code = 'UNAVAILABLE'
}

/** A bug. The cause is logged and never shown to callers. */
export class InternalError extends LatchkeyError {
  readonly code = 'INTERNAL_SERVER_ERROR'
}
