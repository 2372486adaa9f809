import type { DocumentNode } from 'graphql'

/** Characters. A parsed document takes about 80 bytes for each of them. */
const maxTotalLength = 500_000
const maxLength = 20_000

/**
 * The documents that were parsed last. Their total length is bounded, not just their number: clients choose
 * what they send, and a thousand documents of the longest kind would fill the memory.
 */
export class DocumentCache {
  /** In the order of their last use. */
  readonly #documents = new Map<string, DocumentNode>()
  #totalLength = 0

  get(source: string): DocumentNode | undefined {
    const document = this.#documents.get(source)
    if (!document) return undefined
    this.#documents.delete(source)
    this.#documents.set(source, document)
    return document
  }

  set(source: string, document: DocumentNode): void {
    if (source.length > maxLength || this.#documents.has(source)) return
    this.#documents.set(source, document)
    this.#totalLength += source.length
    for (const oldest of this.#documents.keys()) {
      if (this.#totalLength <= maxTotalLength) return
      this.#documents.delete(oldest)
      this.#totalLength -= oldest.length
    }
  }
}

/** What cannot be parsed is sent by mistake, and not over and over. */
export const noErrorCache = { get: () => undefined, set: () => undefined }
