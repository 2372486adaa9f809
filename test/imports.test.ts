import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import { describe, expect, it } from 'vitest'

interface SourceFile {
  /** Relative to the folder that was read. */
  path: string
  text: string
}

/** The modules below a folder, generated and installed ones left out. */
function readSource(folder: string): SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.(m?js|tsx?)$/.test(path) && !/(^|\/)(generated|node_modules)\//.test(path))
    .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }))
}

const files = readSource('src')

interface Imports {
  /** Modules of src, as paths below it. */
  own: string[]
  /** Packages, and modules of Node.js. */
  packages: string[]
}

/** What a file imports; imports of types count. */
function importsOf({ path, text }: SourceFile): Imports {
  const statements = /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'/g
  const modules = [...text.matchAll(statements)].map(
    ([, fromStatement, fromCall]) => fromStatement ?? fromCall ?? '',
  )
  const isOwn = (module: string) => module.startsWith('.')
  return {
    own: modules.filter(isOwn).map((module) => join(dirname(path), module)),
    packages: modules.filter((module) => !isOwn(module)),
  }
}

/** The folder of src that a file is in; for files at the top, their own name. */
const layerOf = (path: string) => path.split('/')[0] ?? path

/** Small modules that any layer may import. */
const everywhere = ['clock.ts', 'errors.ts', 'limits.ts', 'paths.ts']

/** What each layer may import of src, besides its own files and `everywhere`. */
const allowed: Record<string, string[]> = {
  domain: [],
  storage: ['domain', 'generated'],
  messaging: ['domain', 'log.ts'],
  schema: ['domain', 'generated'],
  http: ['log.ts'],
  auth: ['domain'],
  overload: ['domain'],
  graphql: ['auth', 'domain', 'http', 'log.ts', 'overload', 'schema'],
  pages: ['http'],
  'clock.ts': [],
  'errors.ts': [],
  'limits.ts': [],
  'paths.ts': [],
  'log.ts': ['domain', 'log-output.ts'],
  'log-output.ts': [],
  'setting-types.ts': ['domain'],
  'config.ts': ['domain', 'log.ts', 'setting-types.ts'],
}
/** The composition root may import everything. */
const compositionRoot = [
  ...['main.ts', 'run.ts', 'app.ts', 'services.ts', 'transports.ts'],
  ...['development.ts', 'tools'],
]

/** Packages that would bring a transport or a database into a layer. */
const graphqlServers = /^(graphql-.+|@graphql-.+|ws)(\/|$)/
const graphql = /^graphql(\/|$)/
const network = /^node:(http|https|http2|net)$/
const databases = /^(pg|ioredis|@prisma\/.+|@electric-sql\/.+)(\/|$)/
const pothos = /^@pothos\//
const forbidden: Record<string, RegExp[]> = {
  domain: [
    graphql,
    graphqlServers,
    network,
    databases,
    pothos,
    /^node:(process|fs|fs\/promises|worker_threads)$/,
  ],
  storage: [graphql, graphqlServers, network, pothos, /^ioredis$/],
  messaging: [graphql, graphqlServers, network, pothos, /^(pg|@prisma\/.+|@electric-sql\/.+)(\/|$)/],
  schema: [/^(graphql-yoga|graphql-ws|ws)(\/|$)/, network, databases],
  http: [graphql, graphqlServers, databases, pothos],
  auth: [graphql, graphqlServers, network, databases, pothos],
  overload: [graphql, graphqlServers, network, databases, pothos],
  graphql: [databases],
  pages: [databases, pothos],
}

/** A path of imports that leads from a file back to itself; undefined where there is none. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  const visit = (path: string, trail: string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (finished.has(path)) return undefined
    for (const next of graph.get(path) ?? []) {
      const cycle = visit(next, [...trail, path])
      if (cycle) return cycle
    }
    finished.add(path)
    return undefined
  }
  for (const path of graph.keys()) {
    const cycle = visit(path, [])
    if (cycle) return cycle
  }
  return undefined
}

describe('the source', () => {
  it('is read completely, with its imports', () => {
    expect(files.length).toBeGreaterThan(40)
    const text = "import {\n  c,\n} from '../d.ts'\nimport './e.ts'\nimport { f } from 'graphql'"
    expect(importsOf({ path: 'a/b.ts', text })).toEqual({ own: ['d.ts', 'a/e.ts'], packages: ['graphql'] })
    for (const file of files) {
      const { own, packages } = importsOf(file)
      const mentions = file.text.match(/^(import|\} from) /gm)?.length ?? 0
      expect([file.path, own.length + packages.length >= Math.min(1, mentions)]).toEqual([file.path, true])
    }
  })

  it('has no file outside the layers', () => {
    const layers = [...Object.keys(allowed), ...compositionRoot]
    expect(files.map(({ path }) => layerOf(path)).filter((layer) => !layers.includes(layer))).toEqual([])
  })

  it.each(Object.keys(allowed))('lets %s import only what it may', (layer) => {
    const mayImport = [layer, ...everywhere, ...(allowed[layer] ?? [])]
    const violations = files
      .filter(({ path }) => layerOf(path) === layer)
      .flatMap((file) => {
        const { own, packages } = importsOf(file)
        return [
          ...own.filter((path) => !mayImport.includes(layerOf(path))),
          ...packages.filter((name) => forbidden[layer]?.some((pattern) => pattern.test(name))),
        ].map((module) => ({ path: file.path, module }))
      })
    expect(violations).toEqual([])
  })

  it.each(['src', 'web/src', 'test', 'bench'])('has no import cycle below %s', (folder) => {
    const graph = new Map(readSource(folder).map((file) => [file.path, importsOf(file).own]))
    expect(graph.size).toBeGreaterThan(20)
    expect(findCycle(graph)).toBeUndefined()
  })

  it('would notice an import cycle', () => {
    const cyclic = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['d', ['b']],
    ])
    expect(findCycle(cyclic)).toEqual(['b', 'd', 'b'])
  })

  it('reads the environment in config.ts alone', () => {
    const reads = /\bprocess\.env\b|\benv\b.*node:process/
    expect(files.filter(({ text }) => reads.test(text)).map(({ path }) => path)).toEqual(['config.ts'])
  })

  it('asks the system for the time nowhere in the domain', () => {
    const asks = /\bDate\.now\(\)|\bnew Date\(\)|\bset(Timeout|Interval)\(/
    expect(files.filter(({ path, text }) => layerOf(path) === 'domain' && asks.test(text))).toEqual([])
  })

  it('writes the bodies and status lines of refusals in respond.ts alone', () => {
    const writes = /\{"errors":|\berrors: \[\{|HTTP\/1\.1 \$/
    expect(files.filter(({ text }) => writes.test(text)).map(({ path }) => path)).toEqual(['http/respond.ts'])
  })

  it('declares what it limits in limits.ts alone', () => {
    const settings = /'(MAX_[A-Z_]+|(HEADERS|REQUEST|IDLE|CONNECTION_INIT)_TIMEOUT_MS)'/
    expect(files.filter(({ text }) => settings.test(text)).map(({ path }) => path)).toEqual(['limits.ts'])
  })
})
