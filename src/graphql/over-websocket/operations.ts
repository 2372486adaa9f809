import type { OperationRecord } from '../operation-log.ts'

interface Operation {
  record: OperationRecord
  isSubscription: boolean
  /** Says that it no longer counts towards its account's share of the database. */
  release: () => void
}

/**
 * The operations in flight on one WebSocket, by the payloads that they arrived with: a client may reuse an id while the
 * operation before it is still being executed.
 */
export class Operations {
  readonly #inFlight = new Map<object, Operation>()
  #subscriptions = 0

  get count(): number {
    return this.#inFlight.size
  }

  get subscriptions(): number {
    return this.#subscriptions
  }

  /** `release` is called when the operation ends, or begins to wait for events. */
  begin(payload: object, record: OperationRecord, release: () => void): void {
    this.#inFlight.set(payload, { record, isSubscription: false, release })
  }

  /** Says of an operation that has begun that it is a subscription. */
  noteSubscription(payload: object): void {
    const operation = this.#inFlight.get(payload)
    if (!operation || operation.isSubscription) return
    operation.isSubscription = true
    operation.release()
    this.#subscriptions++
  }

  isSubscription(payload: object): boolean {
    return this.#inFlight.get(payload)?.isSubscription ?? false
  }

  recordOf(payload: object): OperationRecord | undefined {
    return this.#inFlight.get(payload)?.record
  }

  /** Returns the record of an operation that was in flight until now. */
  end(payload: object): OperationRecord | undefined {
    const operation = this.#inFlight.get(payload)
    if (!operation) return undefined
    this.#inFlight.delete(payload)
    operation.release()
    if (operation.isSubscription) this.#subscriptions--
    return operation.record
  }

  payloads(): object[] {
    return [...this.#inFlight.keys()]
  }
}
