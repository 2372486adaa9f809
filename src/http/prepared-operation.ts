import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
} from 'graphql'
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit'
import type { Principal } from '../domain/principal.ts'
import { type Context, createContext, type ResolverServices } from '../schema/context.ts'
import { operationLabel } from './operation-record.ts'

type MaybePromise<T> = T | Promise<T>

/** How often an operation is met before it is compiled: a client that writes its values into the text never gets there. */
const compileAtRun = 20

/**
 * An operation that was parsed and found valid, ready to be executed any number of times.
 *
 * Those that only meter are what a server does all day. They are compiled to JavaScript, and their context is kept
 * for each principal: with it is kept what the schema's plugins find out about an operation and who sends it, and of
 * metering that never depends on the variables. All others are executed by GraphQL's own interpreter with a context
 * of their own.
 */
export class PreparedOperation {
  readonly document: DocumentNode
  /** Left out where the document has no operation of the name asked for. */
  readonly operation: OperationDefinitionNode | undefined
  /** What the log calls it. */
  readonly label: string
  readonly #schema: GraphQLSchema
  /** Of an operation that only meters. */
  readonly #contexts: WeakMap<Principal, Context> | undefined
  readonly #mayCompile: boolean = false
  #runs = 0
  #compiled: CompiledQuery['query'] | undefined

  constructor(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined) {
    this.document = document
    this.operation = getOperationAST(document, operationName) ?? undefined
    this.label = operationLabel(this.operation)
    this.#schema = schema
    if (!this.operation || !onlyMeters(schema, this.operation)) return
    this.#contexts = new WeakMap()
    this.#mayCompile = !mayPassNull(this.operation)
  }

  /** The context to execute it in; at once where there is nothing to be waited for, as for gateways. */
  context(services: ResolverServices, principal: Principal | null): MaybePromise<Context> {
    const known = principal && this.#contexts?.get(principal)
    if (known) return known
    const context = createContext(services, principal)
    if (principal && !(context instanceof Promise)) this.#contexts?.set(principal, context)
    return context
  }

  /** Executes it. What is given must be of this operation. */
  execute(args: ExecutionArgs): MaybePromise<ExecutionResult> {
    if (this.#mayCompile && ++this.#runs === compileAtRun) this.#compile(args.operationName ?? undefined)
    if (!this.#compiled) return execute(args)
    const result = this.#compiled(undefined, args.contextValue, args.variableValues ?? {})
    if (result instanceof Promise) return result.then((settled) => this.#withOwnErrors(settled))
    // Without data nothing was executed, for instance for the variables: GraphQL's own words say why.
    return 'data' in result ? this.#withOwnErrors(result) : execute(args)
  }

  /** The compiler's errors know where in the text they belong, but not of which node: they are made GraphQL's own. */
  #withOwnErrors(result: ExecutionResult): ExecutionResult {
    const source = this.document.loc?.source
    if (!result.errors || !source) return result
    const lineStarts = [
      0,
      ...[...source.body.matchAll(/\r\n|[\n\r]/g)].map((end) => end.index + end[0].length),
    ]
    const errors = result.errors.map(
      ({ message, path, originalError, locations = [] }) =>
        new GraphQLError(message, {
          source,
          positions: locations.map(({ line, column }) => (lineStarts[line - 1] ?? 0) + column - 1),
          path: path ?? null,
          originalError: originalError ?? null,
        }),
    )
    return { ...result, errors }
  }

  #compile(operationName: string | undefined): void {
    const compiled = compileQuery(this.#schema, this.document, operationName)
    if (isCompiledQuery(compiled)) this.#compiled = compiled.query
  }
}

/**
 * Whether a variable may be null where none may be: GraphQL lets one that has a default stand there, and looks at what
 * it holds when it executes. What is compiled does not.
 */
function mayPassNull({ variableDefinitions = [] }: OperationDefinitionNode): boolean {
  return variableDefinitions.some(
    ({ type, defaultValue }) => defaultValue && type.kind !== Kind.NON_NULL_TYPE,
  )
}

/** Whether all that is asked for at the top are fields that the schema marks so. */
function onlyMeters(schema: GraphQLSchema, { operation, selectionSet }: OperationDefinitionNode): boolean {
  const fields = schema.getRootType(operation)?.getFields()
  return selectionSet.selections.every(
    (selection) =>
      selection.kind === Kind.FIELD && fields?.[selection.name.value]?.extensions.metering === true,
  )
}
