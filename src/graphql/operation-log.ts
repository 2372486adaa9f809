import type { GraphQLError, OperationDefinitionNode } from 'graphql'
import type { Logger } from '../log.ts'

/** One line for each operation in production; in development they would drown everything else. */
export type OperationLogLevel = 'info' | 'debug'

/** Clients choose the names of their operations; the log keeps this many characters of one. */
const longestLabel = 100

/** What the log says of one operation. It is filled in while the operation is carried out, and written once. */
export class OperationRecord {
  readonly #codes = new Set<string>()
  readonly #startedAtMs = performance.now()
  #operation: string | undefined

  /** Notes which operation it is. */
  noteOperation(label: string): void {
    this.#operation = label
  }

  noteCode(code: string): void {
    this.#codes.add(code)
  }

  /** Notes the codes of a result's errors. */
  noteErrors(errors: readonly GraphQLError[] | undefined): void {
    for (const { extensions } of errors ?? []) this.#codes.add(String(extensions.code))
  }

  write(log: Logger, level: OperationLogLevel, transport: Record<string, unknown>): void {
    log[level]({
      ...transport,
      operation: this.#operation,
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      codes: [...this.#codes],
    })
  }
}

/** What the log calls an operation: its name, or its type where it has none. */
export function operationLabel(operation: OperationDefinitionNode | undefined): string {
  return operation?.name?.value.slice(0, longestLabel) ?? operation?.operation ?? 'unknown'
}
