import { PothosValidationError } from '@pothos/core'
import { GraphQLError, type GraphQLErrorOptions } from 'graphql'
import { InternalError, InvalidInputError, LatchkeyError, UnavailableError } from '../errors.ts'
import type { Logger } from '../log.ts'

export interface MaskErrorOptions {
  log: Logger
  /** Whether an error means that the database did not answer. */
  isUnavailable: (error: unknown) => boolean
  /** Whether mistakes are told without what may have been meant. Validation leaves it out; execution does not. */
  hideSuggestions: boolean
}

export type MaskError = (error: unknown) => GraphQLError

/**
 * Turns whatever was thrown into what a caller may see: a code and a message written for it. Anything that is
 * not meant for callers becomes INTERNAL_SERVER_ERROR, and its cause is logged.
 */
export function createMaskError({ log, isUnavailable, hideSuggestions }: MaskErrorOptions): MaskError {
  function latchkeyErrorFrom(error: unknown): LatchkeyError {
    if (error instanceof LatchkeyError) return error
    // What the schema's plugins say of an input: a bad cursor, for instance.
    if (error instanceof PothosValidationError)
      return new InvalidInputError([{ path: [], message: error.message }])
    if (isUnavailable(error))
      return new UnavailableError('The database does not answer. Try again.', { cause: error })
    return new InternalError('Something went wrong on the server. It has been logged.', { cause: error })
  }

  const logged = new WeakSet<object>()

  /**
   * A caller's mistake is no news for whoever runs the server; a cause on the server's side is. Once: the commit of a
   * batch that fails is the cause for each of its calls.
   */
  function logCause({ cause, code, message }: LatchkeyError): void {
    if (cause === undefined) return
    if (typeof cause === 'object' && cause !== null) {
      if (logged.has(cause)) return
      logged.add(cause)
    }
    const level = code === 'INTERNAL_SERVER_ERROR' ? 'error' : code === 'UNAVAILABLE' ? 'warn' : 'debug'
    log[level]({ err: cause, code }, message)
  }

  return (error) => {
    // Masked before: what was made of it then holds.
    if (
      error instanceof GraphQLError &&
      error.originalError instanceof LatchkeyError &&
      error.extensions.code
    )
      return error
    const origin = error instanceof GraphQLError ? error.originalError : error
    // An error of GraphQL's own is about the request: its syntax, its types, its variables.
    if (error instanceof GraphQLError && (!origin || origin instanceof GraphQLError))
      return asBadUserInput(error, hideSuggestions ? error.message.replace(suggestion, '') : error.message)
    const shown = latchkeyErrorFrom(origin)
    logCause(shown)
    return new GraphQLError(shown.message, {
      ...placeOf(error),
      originalError: shown,
      extensions: extensionsOf(shown),
    })
  }
}

/** Where in the operation an error belongs. */
function placeOf(error: unknown): GraphQLErrorOptions {
  if (!(error instanceof GraphQLError)) return {}
  const { nodes, source, positions, path } = error
  return { nodes: nodes ?? null, source: source ?? null, positions: positions ?? null, path: path ?? null }
}

/** What an error's `extensions` hold: the code, and of a bad input every issue. */
export function extensionsOf(error: LatchkeyError) {
  return { code: error.code, ...(error instanceof InvalidInputError ? { issues: error.issues } : {}) }
}

/** What GraphQL ends its messages with where a name is almost right. */
const suggestion = / Did you mean .+\?$/s

function asBadUserInput(error: GraphQLError, message: string): GraphQLError {
  return new GraphQLError(message, {
    ...placeOf(error),
    extensions: { ...httpOf(error), code: 'BAD_USER_INPUT' },
  })
}

/** `http` is how Yoga is told the status, and never sent. With `spec`, answers in application/json are given 200. */
function httpOf({ extensions: { http, originalError } }: GraphQLError) {
  // A body that is not JSON is no GraphQL request at all.
  return http ? { http: originalError ? { ...http, spec: false } : http } : {}
}
