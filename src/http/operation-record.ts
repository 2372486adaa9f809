import { type DocumentNode, type GraphQLError, getOperationAST, type OperationDefinitionNode } from 'graphql'
import type { Plugin } from 'graphql-yoga'

/** One line a request in production; in development they would bury everything else. */
export type RequestLogLevel = 'info' | 'debug'

/** What the log says of an operation: filled in while it is carried out. */
export interface OperationRecord {
  operation?: string
  codes: Set<string>
}

/** Notes down the codes of a result's errors. */
export function noteErrors(
  record: OperationRecord | undefined,
  { errors }: { errors?: readonly GraphQLError[] | undefined },
): void {
  for (const { extensions } of errors ?? []) record?.codes.add(String(extensions.code))
}

/** What the log calls an operation: its name, or its type where it has none. */
export function operationLabel(operation: OperationDefinitionNode | null | undefined): string {
  return operation?.name?.value ?? operation?.operation ?? 'unknown'
}

/** Notes down which operation it is. */
export function useOperationRecord(): Plugin<{ record?: OperationRecord }> {
  const note = ({
    args,
  }: {
    args: { document: DocumentNode; contextValue: unknown; operationName?: unknown }
  }) => {
    const { record } = args.contextValue as { record?: OperationRecord }
    if (!record) return
    record.operation = operationLabel(
      getOperationAST(args.document, args.operationName as string | undefined),
    )
  }
  return {
    onExecute: note as never,
    onSubscribe: note as never,
    onResultProcess({ result, serverContext }) {
      if ('errors' in result) noteErrors((serverContext as { record?: OperationRecord }).record, result)
    },
  }
}
