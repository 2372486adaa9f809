import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases'
import { maxDirectivesRule } from '@escape.tech/graphql-armor-max-directives'
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Lexer,
  NoSchemaIntrospectionCustomRule,
  parse,
  Source,
  specifiedRules,
  TokenKind,
  type ValidationRule,
  validate,
} from 'graphql'
import { QueryTooComplexError } from '../errors.ts'
import { errorLimits, fixedLimits, operationLimits } from '../limits.ts'

const { aliases, aliasLength, directives, selections } = operationLimits

/** The package's own errors have no code. */
function refuse(reason: string): () => never {
  return () => {
    throw tooComplex(reason)
  }
}

/** A response repeats an alias for every row of a list. */
const aliasLengthRule: ValidationRule = () => ({
  Field: ({ alias }) => {
    if (alias && alias.value.length > aliasLength)
      throw tooComplex(`has an alias of more than ${aliasLength} characters`)
  },
})

const limitRules: readonly ValidationRule[] = [
  aliasLengthRule,
  maxAliasesRule({ n: aliases, allowList: [], onReject: [refuse(`has more than ${aliases} aliases`)] }),
  maxDirectivesRule({ n: directives, onReject: [refuse(`has more than ${directives} directives`)] }),
]

/**
 * Parses a document of at most so many tokens.
 * @throws GraphQLError: a syntax error, or a QueryTooComplexError
 */
export function parseDocument(source: string, tokens: number): DocumentNode {
  try {
    return parse(source, { maxTokens: tokens })
  } catch (error) {
    if (isStackOverflow(error)) throw tooComplex('is nested too deeply')
    if (error instanceof GraphQLError && isTokenBeyond(source, error.positions?.[0] ?? 0, tokens))
      throw tooComplex(`has more than ${tokens} tokens`)
    throw error
  }
}

/** Fields, fragments and spreads of them, as they are written. */
function selectionsIn({ definitions }: DocumentNode): number {
  let count = 0
  const open = definitions.flatMap((definition) =>
    'selectionSet' in definition && definition.selectionSet ? [definition.selectionSet] : [],
  )
  for (let next = open.pop(); next; next = open.pop()) {
    count += next.selections.length
    for (const selection of next.selections)
      if ('selectionSet' in selection && selection.selectionSet) open.push(selection.selectionSet)
  }
  return count
}

/** How long it takes to parse and validate a document, in fields resolved. */
export function weightOf(source: string): number {
  return Math.ceil(source.length / fixedLimits.charactersPerField)
}

/**
 * Validates a document. The schema judges what it selects later, before anything of it is executed.
 * @param explorable whether introspection is allowed and messages suggest similar names; both reveal the schema
 */
export function validateDocument(
  schema: GraphQLSchema,
  document: DocumentNode,
  explorable: boolean,
): readonly GraphQLError[] {
  // Comparing the fields of the same name with each other takes longer than their number says.
  if (selectionsIn(document) > selections) return [tooComplex(`selects more than ${selections} fields`)]
  const rules = [...limitRules, ...specifiedRules, ...(explorable ? [] : [NoSchemaIntrospectionCustomRule])]
  try {
    const options = { hideSuggestions: !explorable, maxErrors: errorLimits.errors }
    return validate(schema, document, rules, options).map((error) =>
      // GraphQL stops where comparing fields of the same name takes too long. The error has no code and no class.
      error.message === 'Validation aborted.' ? tooComplex('repeats the same fields too often') : error,
    )
  } catch (error) {
    if (isStackOverflow(error)) return [tooComplex('is nested too deeply')]
    if (error instanceof GraphQLError) return [error]
    throw error
  }
}

/** Whether more than so many tokens begin up to this position, so that the parser stopped there. */
function isTokenBeyond(source: string, position: number, tokens: number): boolean {
  const lexer = new Lexer(new Source(source))
  let count = 0
  while (lexer.lookahead().kind !== TokenKind.EOF && lexer.advance().start <= position) count++
  return count > tokens
}

/** V8 has no other sign of it than the text. */
function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack')
}

/** Refuses an operation beyond a limit. `reason` continues "The operation". */
export function tooComplexError(reason: string): QueryTooComplexError {
  return new QueryTooComplexError(`The operation ${reason}. Ask for less, or in several operations.`)
}

/** The same as an error of GraphQL. */
export function tooComplex(reason: string): GraphQLError {
  const originalError = tooComplexError(reason)
  return new GraphQLError(originalError.message, {
    originalError,
    extensions: { code: originalError.code },
  })
}
