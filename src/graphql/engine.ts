import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import { hasScope, type Principal } from '../domain/principal.ts'
import { UnauthenticatedError } from '../errors.ts'
import { fixedLimits, operationLimits } from '../limits.ts'
import type { Context } from '../schema/context.ts'
import { meteringScope } from '../schema/scope-errors.ts'
import type { Share } from '../schema/share.ts'
import { parseDocument, validateDocument, weightOf } from './document-limits.ts'
import type { EventGate, EventStream } from './event-stream.ts'
import type { ErrorMask } from './mask-error.ts'
import { type MaybePromise, PreparedOperation } from './prepared-operation.ts'

/** Without a token, nothing is parsed where the schema may not be explored. */
export const noToken = new UnauthenticatedError('Send a bearer token: Authorization: Bearer <token>.')

export interface EngineOptions {
  schema: GraphQLSchema
  /** What an operation of this principal is executed with. */
  createContext: (principal: Principal | null, onlyMeters: boolean) => MaybePromise<Context>
  /** What a principal may use of what all operations share. */
  shareOf: (principal: Principal | null) => Pick<Share, 'turn'>
  errorMask: ErrorMask
  /** Whether introspection is allowed and messages suggest the names that may have been meant. */
  explorable: boolean
}

/** An operation as a client sends it. */
export interface OperationRequest {
  query: string
  operationName?: string | null | undefined
  variables?: Record<string, unknown> | null | undefined
}

/** What GraphQL's own `execute` and `subscribe` take, and the operation that they are of. */
export interface PreparedArgs extends ExecutionArgs {
  prepared: PreparedOperation
  /** What the events of a subscription must pass. */
  gate?: EventGate
}

/**
 * Prepares and executes every operation, whichever transport it arrives by:
 *
 *   source ──prepare──▶ PreparedOperation ──argsOf──▶ PreparedArgs ──execute · subscribe──▶ result, errors masked
 *
 * Documents that were found valid are parsed and validated once, for as long as they stay in a cache of bounded size.
 */
export class GraphQLEngine {
  readonly schema: GraphQLSchema
  readonly #options: EngineOptions
  /** By source. The total length is bounded and not just the number: clients choose what they send. */
  readonly #documents = new LRUCache<string, DocumentNode>({
    maxSize: fixedLimits.cachedDocumentsLength,
    maxEntrySize: fixedLimits.cachedDocumentLength,
    sizeCalculation: (_document, source) => source.length,
  })
  /** The operations of valid documents that were asked for, by name. */
  readonly #operations = new WeakMap<DocumentNode, Map<string | undefined, PreparedOperation>>()

  constructor(options: EngineOptions) {
    this.schema = options.schema
    this.#options = options
  }

  /** Whether documents without a token are parsed: where the schema may be explored. */
  get isOpenToAnyone(): boolean {
    return this.#options.explorable
  }

  /** @throws GraphQLError where the document cannot be parsed, or has more tokens */
  parse(source: string, tokens: number): DocumentNode {
    return this.#documents.get(source) ?? parseDocument(source, tokens)
  }

  #validate(document: DocumentNode): readonly GraphQLError[] {
    if (this.#operations.has(document)) return []
    const errors = validateDocument(this.schema, document, this.#options.explorable)
    if (errors.length > 0) return errors
    this.#operations.set(document, new Map())
    const source = document.loc?.source.body
    if (source) this.#documents.set(source, document)
    return []
  }

  /** The operation of this name in a valid document. */
  operationOf(document: DocumentNode, operationName: string | null | undefined): PreparedOperation {
    const name = operationName ?? undefined
    const operations = this.#operations.get(document)
    const known = operations?.get(name)
    if (known) return known
    const prepared = new PreparedOperation(this.schema, document, name)
    // Names that the document does not have are not kept: clients could make up any number of them.
    if (prepared.operation) operations?.set(name, prepared)
    return prepared
  }

  /**
   * What to await before `prepare`, so that every owner's documents are parsed in turn; undefined where that may be done
   * at once. Metering never waits for customers, and gateways take no turns.
   * @param query the document, or all that was sent where that is not known yet
   */
  turnToPrepare(query: string, principal: Principal | null): Promise<void> | undefined {
    if (this.#documents.has(query) || (principal && hasScope(principal, meteringScope))) return undefined
    return this.#options.shareOf(principal).turn(weightOf(query))
  }

  /**
   * Parses and validates. Returns the operation, or what is wrong with the document.
   * @param isAnonymous whether it came without a token: then it may be less long
   * @throws UnauthenticatedError, before anything is parsed
   */
  prepare(
    { query, operationName }: OperationRequest,
    isAnonymous: boolean,
  ): PreparedOperation | readonly GraphQLError[] {
    if (isAnonymous && !this.isOpenToAnyone) throw noToken
    const { tokens, anonymousTokens } = operationLimits
    let document: DocumentNode
    try {
      document = this.parse(query, isAnonymous ? anonymousTokens : tokens)
    } catch (error) {
      if (error instanceof GraphQLError) return [error]
      throw error
    }
    const errors = this.#validate(document)
    return errors.length > 0 ? errors : this.operationOf(document, operationName)
  }

  /** Assembles the arguments to execute an operation for a principal. */
  argsOf(
    prepared: PreparedOperation,
    { operationName, variables }: Omit<OperationRequest, 'query'>,
    principal: Principal | null,
  ): MaybePromise<PreparedArgs> {
    const args = (contextValue: Context) =>
      ({
        prepared,
        schema: this.schema,
        document: prepared.document,
        operationName,
        variableValues: variables,
        contextValue,
        hideSuggestions: !this.#options.explorable,
      }) as PreparedArgs
    const context = prepared.contextFor(principal, this.#options.createContext)
    return context instanceof Promise ? context.then(args) : args(context)
  }

  /** Executes a query or a mutation: metering at once, everything else within its owner's share. */
  execute(args: PreparedArgs): MaybePromise<ExecutionResult> {
    const { prepared, contextValue } = args
    if (!prepared.onlyMeters) return this.#executeInTurn(args, contextValue as Context)
    const result = prepared.execute(args)
    return result instanceof Promise ? result.then((settled) => this.#masked(settled)) : this.#masked(result)
  }

  #executeInTurn(args: PreparedArgs, { share }: Context): Promise<ExecutionResult> {
    return share.operation(async () => {
      await share.turn(args.prepared.weight)
      return this.#masked(await args.prepared.execute(args))
    })
  }

  /** Starts a subscription. The errors of its events are not masked yet. */
  subscribe(args: PreparedArgs): Promise<EventStream | ExecutionResult> {
    return args.prepared.subscribe(args, args.gate)
  }

  #masked(result: ExecutionResult): ExecutionResult {
    if (!result.errors) return result
    return { ...result, errors: this.#options.errorMask.maskAll(result.errors) }
  }
}
