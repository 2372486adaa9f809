import type { GraphQLError, OperationDefinitionNode } from 'graphql'
import type { Logger } from '../log.ts'

/** Operations are logged at `info` in production and at `debug` in development, where they would hide the rest. */
export type OperationLogLevel = 'info' | 'debug'

/** Clients choose the names of their operations; the log keeps this many characters of one. */
const longestLabel = 100

/** How an operation arrived; method and status only over HTTP. */
export interface OperationTransport {
  transport: 'http' | 'websocket'
  method?: string | undefined
  status?: number | undefined
}

/** What the log says of one operation. It is filled in while the operation is carried out, and written once. */
export class OperationRecord {
  /** Few, and most often none. */
  readonly #codes: string[] = []
  readonly #startedAtMs = performance.now()
  #operation: string | undefined

  /** Notes which operation it is. */
  noteOperation(label: string): void {
    this.#operation = label
  }

  noteCode(code: string): void {
    if (!this.#codes.includes(code)) this.#codes.push(code)
  }

  /** Notes the codes of a result's errors. */
  noteErrors(errors: readonly GraphQLError[] | undefined): void {
    for (const { extensions } of errors ?? []) this.noteCode(String(extensions.code))
  }

  /** Every metered call writes one: building the object in one go is several times as fast as spreading another. */
  write(log: Logger, level: OperationLogLevel, { transport, method, status }: OperationTransport): void {
    log[level]({
      transport,
      method,
      operation: this.#operation,
      status,
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      codes: this.#codes,
    })
  }
}

/** Refusals are counted for this long before a line says how many there were. */
const refusalsMs = 1_000

/**
 * Logs the operations that are refused before they are parsed. An overloaded server refuses tens of thousands a second:
 * a line for each of them would cost more than refusing it.
 */
export class RefusalLog {
  readonly #write: (entry: object) => void
  #refused = 0
  #code = ''

  constructor(log: Logger, level: OperationLogLevel) {
    this.#write = (entry) => log[level](entry)
  }

  note(code: string): void {
    if (this.#refused++ > 0) return
    this.#code = code
    setTimeout(() => this.flush(), refusalsMs).unref()
  }

  /** Writes what has been counted since the last line, if anything. */
  flush(): void {
    if (this.#refused === 0) return
    this.#write({ transport: 'websocket', refused: this.#refused, codes: [this.#code] })
    this.#refused = 0
  }
}

/** What the log calls an operation: its name, or its type where it has none. */
export function operationLabel(operation: OperationDefinitionNode | undefined): string {
  return operation?.name?.value.slice(0, longestLabel) ?? operation?.operation ?? 'unknown'
}
