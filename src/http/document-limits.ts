import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases'
import { maxDirectivesRule } from '@escape.tech/graphql-armor-max-directives'
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  parse,
  type ValidationRule,
  validate,
} from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { QueryTooComplexError } from '../errors.ts'

/** An operation with more tokens than this is not even parsed. */
const maxTokens = 10_000
/** What fragments hold counts wherever they are spread. An operation may have 300 fields, with aliases or without. */
const maxAliases = 300
const maxDirectives = 50

/** Judged with the rules of GraphQL, when a document is met for the first time. */
const limitRules: readonly ValidationRule[] = [
  maxAliasesRule({
    n: maxAliases,
    allowList: [],
    onReject: [refuse(`has more than ${maxAliases} aliases`)],
  }),
  maxDirectivesRule({ n: maxDirectives, onReject: [refuse(`has more than ${maxDirectives} directives`)] }),
]

export interface DocumentLimitsOptions {
  /** Whether mistakes are told without what may have been meant: it would give the schema away bit by bit. */
  hideSuggestions: boolean
}

/**
 * Refuses documents that are too long, too deeply nested or too repetitive to be parsed and validated. What
 * they select is judged later, by the schema, before anything of it is executed.
 */
export function useDocumentLimits({ hideSuggestions }: DocumentLimitsOptions): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, options) => parsed(source as string, options))
    },
    onValidate({ setValidationFn }) {
      setValidationFn(((schema: GraphQLSchema, document: DocumentNode, rules: readonly ValidationRule[]) =>
        validated(() => validate(schema, document, [...limitRules, ...rules], { hideSuggestions }))) as never)
    },
  }
}

/** What the package itself says has no code of its own. */
function refuse(reason: string): () => never {
  return () => {
    throw tooComplex(reason)
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
    if (error instanceof GraphQLError) return [error]
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
