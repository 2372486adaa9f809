import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type FieldNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit'
import { hasScope, type Principal } from '../domain/principal.ts'
import { fixedLimits } from '../limits.ts'
import type { Context } from '../schema/context.ts'
import { meteringScope, scopeError } from '../schema/scope-errors.ts'
import { tooComplex, weightOf } from './document-limits.ts'
import { type EventGate, EventStream } from './event-stream.ts'
import { operationLabel } from './operation-log.ts'
import { checkFor, mayReportEveryError, tooManyValues, type VariablesCheck } from './variables.ts'

export type MaybePromise<T> = T | Promise<T>

/** The number of runs after which an operation is compiled. Documents with inlined values never reach it. */
const compileAtRun = 20

/**
 * A valid operation, ready to be executed any number of times.
 *
 * Operations that only meter are most of what a server executes. They are compiled to JavaScript, and share one context
 * per principal, with which the schema's plugins cache what they found out about the operation and the principal; for
 * metering, none of that depends on the variables. Other operations are interpreted, each with a context of its own.
 */
export class PreparedOperation {
  readonly document: DocumentNode
  /** Undefined where the document has no operation of the requested name. */
  readonly operation: OperationDefinitionNode | undefined
  /** What the log calls it. */
  readonly label: string
  /** Whether it does nothing but meter. */
  readonly onlyMeters: boolean
  /** How long executing it begins to take, in fields resolved. */
  readonly weight: number
  readonly #schema: GraphQLSchema
  /** Only for operations that only meter. */
  readonly #contexts: WeakMap<Principal, Context> | undefined
  readonly #mayCompile: boolean = false
  /** Whether the events of a subscription need more than what their source knows. */
  #eventsRead: boolean | undefined
  #runs = 0
  #compiled: CompiledQuery['query'] | undefined

  constructor(schema: GraphQLSchema, document: DocumentNode, operationName: string | undefined) {
    this.document = document
    this.operation = getOperationAST(document, operationName) ?? undefined
    this.label = operationLabel(this.operation)
    this.#schema = schema
    this.weight = weightOf(document.loc?.source.body ?? '')
    this.onlyMeters = this.operation !== undefined && onlyMeters(schema, this.operation)
    if (!this.operation || !this.onlyMeters) return
    this.#contexts = new WeakMap()
    this.#mayCompile = !mayPassNull(this.operation)
  }

  /** The context to execute it with. Available at once where nothing must be read for it, as for gateways. */
  contextFor(
    principal: Principal | null,
    create: (principal: Principal | null, onlyMeters: boolean) => MaybePromise<Context>,
  ): MaybePromise<Context> {
    const known = principal && this.#contexts?.get(principal)
    if (known) return known
    const context = create(principal, this.onlyMeters)
    if (principal && !(context instanceof Promise)) this.#contexts?.set(principal, context)
    return context
  }

  /** Executes a query or mutation with arguments that `GraphQLEngine.argsOf` made for it. */
  execute(args: ExecutionArgs): MaybePromise<ExecutionResult> {
    // Before the variables, which are most of what a metering operation consists of.
    const refusal = this.#contexts && this.#refusalFor(args.contextValue as Context)
    if (refusal) return refusal
    const check = checkFor(args.variableValues)
    if (check.isTooLarge) return variablesTooLarge
    if (this.#mayCompile && ++this.#runs === compileAtRun) this.#compile(args.operationName ?? undefined)
    if (!this.#compiled || !this.#mayCheckCompiled(args, check)) return execute(withMaxErrors(args, check))
    const result = this.#compiled(undefined, args.contextValue, args.variableValues ?? {})
    if (result instanceof Promise) return result.then((settled) => this.#withOwnErrors(settled))
    // The compiled code rejected the variables and has executed nothing. The interpreter's messages say why.
    return 'data' in result ? this.#withOwnErrors(result) : execute(withMaxErrors(args, check))
  }

  /**
   * Starts a subscription with arguments that `GraphQLEngine.argsOf` made for it, in its owner's turn. Events that need the database are
   * operations of their owner, like any other; the others have had their turn.
   * @param gate what its events must pass before they are executed
   */
  async subscribe(args: ExecutionArgs, gate: EventGate | undefined): Promise<EventStream | ExecutionResult> {
    const check = checkFor(args.variableValues)
    if (check.isTooLarge) return variablesTooLarge
    const checked = withMaxErrors(args, check)
    const { share } = args.contextValue as Context
    await share.turn(this.weight + fixedLimits.fieldsPerSubscription)
    const source = await createSourceEventStream(checked)
    if (!(Symbol.asyncIterator in source)) return source
    const executeEvent = (event: unknown) => execute({ ...checked, rootValue: event })
    this.#eventsRead ??= readsDatabase(this.#schema, this.document)
    return new EventStream(
      source,
      this.#eventsRead
        ? (event, isOver) => share.operation(() => (isOver() ? {} : executeEvent(event)))
        : executeEvent,
      gate,
    )
  }

  /** Whether compiled code may check the variables: it does not stop at any number of errors. */
  #mayCheckCompiled({ variableValues }: ExecutionArgs, check: VariablesCheck): boolean {
    if (mayReportEveryError(check)) return true
    const definitions = this.operation?.variableDefinitions ?? []
    const { errors } = getVariableValues(this.#schema, definitions, variableValues ?? {}, { maxErrors: 1 })
    return errors === undefined
  }

  /** Why a principal may not meter. Every top-level field is a metering one, and none of them may be null. */
  #refusalFor({ principal }: Context): ExecutionResult | undefined {
    if (principal && hasScope(principal, meteringScope)) return undefined
    const originalError = scopeError(principal, [meteringScope])
    const field = this.operation?.selectionSet.selections[0] as FieldNode
    const path = [(field.alias ?? field.name).value]
    return {
      data: null,
      errors: [new GraphQLError(originalError.message, { nodes: field, path, originalError })],
    }
  }

  /** Turns the compiled code's errors, which know their line and column but no source, into GraphQL's own. */
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

const variablesTooLarge: ExecutionResult = {
  errors: [tooComplex(tooManyValues)],
}

function withMaxErrors(args: ExecutionArgs, { maxErrors }: VariablesCheck): ExecutionArgs {
  return { ...args, options: { maxCoercionErrors: maxErrors } }
}

/**
 * Whether a variable may pass null to where null is not allowed. GraphQL accepts a nullable variable there when it has a
 * default, and checks its value during execution. Compiled code does not check.
 */
function mayPassNull({ variableDefinitions = [] }: OperationDefinitionNode): boolean {
  return variableDefinitions.some(
    ({ type, defaultValue }) => defaultValue && type.kind !== Kind.NON_NULL_TYPE,
  )
}

/** Whether the schema marks any field of a valid document as one that reads the database. */
function readsDatabase(schema: GraphQLSchema, document: DocumentNode): boolean {
  const typeInfo = new TypeInfo(schema)
  let reads = false
  const noteField = () => {
    if (typeInfo.getFieldDef()?.extensions.readsDatabase) reads = true
  }
  visit(document, visitWithTypeInfo(typeInfo, { Field: noteField }))
  return reads
}

/** Whether the schema marks every top-level field of the operation as metering. */
function onlyMeters(schema: GraphQLSchema, { operation, selectionSet }: OperationDefinitionNode): boolean {
  const fields = schema.getRootType(operation)?.getFields()
  return selectionSet.selections.every(
    (selection) =>
      selection.kind === Kind.FIELD && fields?.[selection.name.value]?.extensions.metering === true,
  )
}
