import { errorLimits } from './limits.ts'

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

/**
 * The base of all errors meant for callers. `message` is written for the caller and reveals nothing internal. The
 * internal error is the `cause`, which is only logged.
 */
export abstract class LatchkeyError extends Error {
  abstract readonly code: LatchkeyErrorCode

  constructor(message: string, options?: ErrorOptions) {
    super(shortenedMessage(message), options)
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

  /** Lists at most `errorLimits.issues`, and then how many there are beyond. */
  constructor(issues: InputIssue[], options?: ErrorOptions) {
    const listed = issues.slice(0, errorLimits.issues).map(shortened)
    const more = issues.length - listed.length
    if (more > 0) listed.push({ path: [], message: `${more} more problems are not listed.` })
    super(
      listed.map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message)).join('; '),
      options,
    )
    this.issues = listed
  }
}

/** Messages and paths may quote the client. */
function shortened({ path, message }: InputIssue): InputIssue {
  return { path: path.map(shortenedMessage), message: shortenedMessage(message) }
}

/** A message of at most `errorLimits.messageLength` characters. */
export function shortenedMessage(message: string): string {
  const { messageLength } = errorLimits
  return message.length <= messageLength ? message : `${message.slice(0, messageLength - 1)}…`
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
