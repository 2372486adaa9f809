import { PothosValidationError } from '@pothos/core'
import { GraphQLError, type GraphQLErrorOptions } from 'graphql'
import {
  InternalError,
  InvalidInputError,
  LatchkeyError,
  shortenedMessage,
  UnavailableError,
} from '../errors.ts'
import { extensionsOf } from '../http/respond.ts'
import { errorLimits } from '../limits.ts'
import type { Logger } from '../log.ts'

export interface ErrorMaskOptions {
  log: Logger
  /** Whether an error means that the database did not answer. */
  isUnavailable: (error: unknown) => boolean
}

/** Turns whatever was thrown into what a caller may see: a code, and a message written for the caller. */
export interface ErrorMask {
  /** Anything that is not meant for callers becomes an InternalError, and its cause is logged. */
  toCaller(error: unknown): LatchkeyError
  /** The same as a GraphQL error, with its place in the operation. */
  mask(error: unknown): GraphQLError
  /** The same for the errors of a response, of which it lists at most `errorLimits.errors`. */
  maskAll(errors: readonly unknown[]): readonly GraphQLError[]
}

export function createErrorMask({ log, isUnavailable }: ErrorMaskOptions): ErrorMask {
  const logged = new WeakSet<object>()

  function latchkeyErrorFrom(error: unknown): LatchkeyError {
    if (error instanceof LatchkeyError) return error
    // The schema's plugins reject some input by themselves, for instance a bad cursor.
    if (error instanceof PothosValidationError)
      return new InvalidInputError([{ path: [], message: error.message }])
    if (isUnavailable(error))
      return new UnavailableError('The database does not answer. Try again.', { cause: error })
    return new InternalError('Something went wrong on the server. It has been logged.', { cause: error })
  }

  /**
   * A caller's mistake is no news to the operator; a failure of the server is. Each cause is logged once: when the
   * commit of a batch fails, it is the cause of the error of every call in the batch.
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

  function toCaller(error: unknown): LatchkeyError {
    const shown = latchkeyErrorFrom(error)
    logCause(shown)
    return shown
  }

  function mask(error: unknown): GraphQLError {
    if (isMasked(error)) return error
    const origin = error instanceof GraphQLError ? error.originalError : error
    // An error of GraphQL itself is about the request: its syntax, its types, its variables.
    if (error instanceof GraphQLError && (!origin || origin instanceof GraphQLError))
      return asBadUserInput(error)
    const shown = toCaller(origin)
    return new GraphQLError(shortenedMessage(shown.message), {
      ...placeOf(error),
      originalError: shown,
      extensions: extensionsOf(shown),
    })
  }

  function maskAll(errors: readonly unknown[]): readonly GraphQLError[] {
    const most = errorLimits.errors
    // One more may say that there are others: GraphQL's last error does, and so does this one's.
    if (errors.length <= most + 1) return errors.map(mask)
    const listed = errors.slice(0, most).map(mask)
    const { extensions, originalError = null } = listed[0] ?? {}
    const more = `${errors.length - most} more errors are not listed.`
    return [...listed, new GraphQLError(more, { originalError, extensions: { code: extensions?.code } })]
  }

  return { toCaller, mask, maskAll }
}

function isMasked(error: unknown): error is GraphQLError {
  return (
    error instanceof GraphQLError &&
    error.originalError instanceof LatchkeyError &&
    error.extensions.code !== undefined
  )
}

/** Where in the operation an error belongs. */
function placeOf(error: unknown): GraphQLErrorOptions {
  if (!(error instanceof GraphQLError)) return {}
  const { nodes, source, positions, path } = error
  const { locations } = errorLimits
  return {
    nodes: nodes?.slice(0, locations) ?? null,
    source: source ?? null,
    positions: positions?.slice(0, locations) ?? null,
    path: path ?? null,
  }
}

function asBadUserInput(error: GraphQLError): GraphQLError {
  return new GraphQLError(shortenedMessage(error.message), {
    ...placeOf(error),
    extensions: { code: 'BAD_USER_INPUT' },
  })
}
