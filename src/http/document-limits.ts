import { type DocumentNode, GraphQLError, parse, type validate } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { QueryTooComplexError } from '../errors.ts'

/** An operation with more tokens than this is not even parsed. */
const maxTokens = 10_000

/**
 * Refuses documents that are too long, too deeply nested or too repetitive to be parsed and validated. What
 * they select is judged later, by the schema, before anything of it is executed.
 */
export function useDocumentLimits(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parsed(source as string, options))
    },
    onValidate({ validateFn, setValidationFn }) {
      setValidationFn(((...args: Parameters<typeof validate>) =>
        validated(() => (validateFn as typeof validate)(...args))) as typeof validateFn)
    },
  }
}

function parsed(source: string, options: object | undefined): DocumentNode {
  try {
    return parse(source, { ...options, maxTokens })
  } catch (error) {
    if (isStackOverflow(error)) throw tooComplex('is nested too deeply')
    if (error instanceof GraphQLError && /^Syntax Error: Document contains more/.test(error.message))
      throw tooComplex(`has more than ${maxTokens} words and signs`)
    throw error
  }
}

function validated(validateDocument: () => readonly GraphQLError[]): readonly GraphQLError[] {
  try {
    // GraphQL gives up where comparing fields of the same name with each other takes too long.
    return validateDocument().map((error) =>
      error.message === 'Validation aborted.' ? tooComplex('repeats the same fields too often') : error,
    )
  } catch (error) {
    if (isStackOverflow(error)) return [tooComplex('is nested too deeply')]
    throw error
  }
}

function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack')
}

function tooComplex(reason: string): GraphQLError {
  const originalError = new QueryTooComplexError(
    `The operation ${reason}. Ask for less, or in several operations.`,
  )
  // As for any other error of syntax; `http` is how Yoga is told so, and never sent.
  const http = { status: 400, spec: true }
  return new GraphQLError(originalError.message, {
    originalError,
    extensions: { code: originalError.code, http },
  })
}
