import { parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DocumentCache } from '../../src/http/document-cache.ts'

const document = parse('{ viewer { subject } }')
const sourceOf = (index: number, length: number) => `# ${index} `.padEnd(length, 'x')

describe('the cache of parsed documents', () => {
  it('keeps a document', () => {
    const cache = new DocumentCache()
    cache.set('a', document)
    expect([cache.get('a'), cache.get('b')]).toEqual([document, undefined])
  })

  it('holds no more than half a million characters, and forgets first what was used longest ago', () => {
    const cache = new DocumentCache()
    const sources = Array.from({ length: 100 }, (_, index) => sourceOf(index, 10_000))
    for (const source of sources) {
      cache.set(source, document)
      cache.get(sources[0] ?? '')
    }
    const kept = sources.flatMap((source, index) => (cache.get(source) ? [index] : []))
    expect(kept).toEqual([0, ...Array.from({ length: 49 }, (_, index) => 51 + index)])
  })

  it('does not let long documents push out others', () => {
    const cache = new DocumentCache()
    cache.set('short', document)
    for (let index = 0; index < 100; index++) cache.set(sourceOf(index, 20_001), document)
    expect(cache.get('short')).toBe(document)
    expect(cache.get(sourceOf(99, 20_001))).toBeUndefined()
  })
})
