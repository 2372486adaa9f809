import { describe, expect, it } from 'vitest'
import { GraphQLEngine } from '../../src/graphql/engine.ts'
import { createErrorMask } from '../../src/graphql/mask-error.ts'
import { createLogger } from '../../src/log.ts'
import { schema } from '../../src/schema/index.ts'

const createEngine = () =>
  new GraphQLEngine({
    schema,
    createContext: () => {
      throw new Error('Nothing is executed here.')
    },
    shareOf: () => ({ turn: () => undefined }),
    errorMask: createErrorMask({
      log: createLogger('silent'),
      isUnavailable: () => false,
    }),
    explorable: false,
  })

/** A valid document of this length. */
const sourceOf = (index: number, length: number) => `{ viewer { subject } } # ${index} `.padEnd(length, 'x')

/** Whether the engine has the document for this source in its cache. */
function isCached(engine: GraphQLEngine, source: string): boolean {
  const document = engine.parse(source, 100)
  return engine.parse(source, 100) === document
}

describe('the cache of documents', () => {
  it('parses and validates a document once', () => {
    const engine = createEngine()
    const prepared = engine.prepare({ query: sourceOf(1, 100) }, false)
    expect(engine.prepare({ query: sourceOf(1, 100) }, false)).toBe(prepared)
  })

  it('keeps no invalid document', () => {
    const engine = createEngine()
    for (const query of ['{ nonsense }', '{'])
      expect(engine.prepare({ query }, false)).toMatchObject([{ message: expect.any(String) }])
    expect(isCached(engine, '{ nonsense }')).toBe(false)
  })

  it('holds at most half a million characters, and evicts the least recently used documents', () => {
    const engine = createEngine()
    const sources = Array.from({ length: 100 }, (_, index) => sourceOf(index, 10_000))
    for (const query of sources) {
      engine.prepare({ query }, false)
      engine.prepare({ query: sources[0] ?? '' }, false)
    }
    const kept = sources.flatMap((source, index) => (isCached(engine, source) ? [index] : []))
    expect(kept).toEqual([0, ...Array.from({ length: 49 }, (_, index) => 51 + index)])
  })

  it('does not let long documents evict others', () => {
    const engine = createEngine()
    engine.prepare({ query: sourceOf(0, 100) }, false)
    for (let index = 1; index <= 100; index++) engine.prepare({ query: sourceOf(index, 20_001) }, false)
    expect(isCached(engine, sourceOf(0, 100))).toBe(true)
    expect(isCached(engine, sourceOf(100, 20_001))).toBe(false)
  })

  it('keeps each operation of a document, and nothing for unknown operation names', () => {
    const engine = createEngine()
    const query = 'query A { viewer { subject } } query B { viewer { scopes } }'
    const [a, b, c] = ['A', 'B', 'C'].map((operationName) => engine.prepare({ query, operationName }, false))
    expect([a, b, c]).toMatchObject([{ label: 'A' }, { label: 'B' }, { label: 'unknown' }])
    expect(engine.prepare({ query, operationName: 'A' }, false)).toBe(a)
    expect(engine.prepare({ query, operationName: 'C' }, false)).not.toBe(c)
  })
})
