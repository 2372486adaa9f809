import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.[jt]s$/.test(path) && !path.startsWith('generated'))
  .map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join('src', path), 'utf8') }))

/** The modules that a file imports, types included, as paths below src or as names of packages. */
function importsOf({ path, text }: { path: string; text: string }): string[] {
  const statements = /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'/g
  return [...text.matchAll(statements)].map(([, fromStatement, fromCall]) => {
    const module = fromStatement ?? fromCall ?? ''
    return module.startsWith('.') ? relative('.', join(dirname(path), module)) : module
  })
}

/** A file's folder in src; for files at the top, their own name. */
const layerOf = (path: string) => path.split('/')[0] ?? path

/** What each layer may import from src besides itself. The composition root may import everything. */
const allowed: Record<string, string[]> = {
  domain: ['errors.ts', 'clock.ts'],
  storage: ['domain', 'generated', 'errors.ts', 'clock.ts'],
  messaging: ['domain', 'clock.ts'],
  schema: ['domain', 'generated', 'errors.ts', 'clock.ts'],
  http: ['schema', 'domain', 'errors.ts', 'clock.ts', 'log.ts'],
  'errors.ts': [],
  'clock.ts': [],
  'log.ts': ['domain'],
  'setting-types.ts': ['domain'],
  'config.ts': ['domain', 'log.ts', 'setting-types.ts'],
}
const compositionRoot = ['main.ts', 'run.ts', 'app.ts', 'services.ts', 'development.ts', 'tools']

/** Packages and Node.js modules that would bring a transport or a database into a layer. */
const transports = /^(graphql(-.+)?|@graphql-.+|ws|node:(http|https|http2|net))(\/|$)/
const databases = /^(pg|ioredis|@prisma\/.+|@electric-sql\/.+)(\/|$)/
const pothos = /^@pothos\//
const forbiddenPackages: Record<string, RegExp[]> = {
  domain: [transports, databases, pothos, /^node:(process|fs|fs\/promises|worker_threads)$/],
  storage: [/^(graphql|graphql-.+|ws|node:http|ioredis)(\/|$)/, pothos],
  messaging: [transports, pothos, /^(pg|@prisma\/.+|@electric-sql\/.+)(\/|$)/],
  schema: [/^(graphql-yoga|graphql-ws|ws|node:http)(\/|$)/, databases],
  http: [databases],
}

/** Files below src that import each other in a circle, one list per circle of files. */
function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const reachableFrom = (start: string) => {
    const reached = new Set<string>()
    const pending = [...(imports.get(start) ?? [])]
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      if (reached.has(path)) continue
      reached.add(path)
      pending.push(...(imports.get(path) ?? []))
    }
    return reached
  }
  const reachable = new Map([...imports.keys()].map((path) => [path, reachableFrom(path)]))
  const circles = [...reachable]
    .filter(([path, reached]) => reached.has(path))
    .map(([path, reached]) => [...reached].filter((other) => reachable.get(other)?.has(path)).sort())
  return [...new Map(circles.map((circle) => [circle.join(), circle])).values()]
}

describe('the source', () => {
  it('is all read, with its imports', () => {
    expect(files.length).toBeGreaterThan(40)
    expect(importsOf({ path: 'a/b.ts', text: "import {\n  c,\n} from '../d.ts'\nimport './e.ts'" })).toEqual([
      'd.ts',
      'a/e.ts',
    ])
    for (const file of files) {
      const mentions = file.text.match(/^(import|\} from) /gm)?.length ?? 0
      expect([file.path, importsOf(file).length >= Math.min(1, mentions)]).toEqual([file.path, true])
    }
  })

  it('belongs to a layer, file by file', () => {
    const layers = [...Object.keys(allowed), ...compositionRoot]
    expect(files.map(({ path }) => layerOf(path)).filter((layer) => !layers.includes(layer))).toEqual([])
  })

  it.each(Object.keys(allowed))('imports in %s only what that layer may import', (layer) => {
    const mayImport = [layer, ...(allowed[layer] ?? [])]
    const strays = files
      .filter(({ path }) => layerOf(path) === layer)
      .flatMap((file) => importsOf(file).map((module) => ({ path: file.path, module })))
      .filter(({ module }) => {
        const own = /\.[jt]s$/.test(module) && !module.startsWith('graphql/')
        if (own) return !mayImport.includes(layerOf(module))
        return (forbiddenPackages[layer] ?? []).some((pattern) => pattern.test(module))
      })
    expect(strays).toEqual([])
  })

  it('finds cycles of any length', () => {
    const graph = { a: ['b'], b: ['c'], c: ['b', 'd'], d: [], e: ['e'], f: ['a', 'zod'] }
    expect(cyclesOf(new Map(Object.entries(graph)))).toEqual([['b', 'c'], ['e']])
  })

  it('has no import cycle, type imports included', () => {
    expect(cyclesOf(new Map(files.map((file) => [file.path, importsOf(file)])))).toEqual([])
  })

  it('reads the environment in config.ts alone', () => {
    expect(
      files.filter(({ text }) => /\bprocess\.env\b|\benv\b.*node:process/.test(text)).map(({ path }) => path),
    ).toEqual(['config.ts'])
  })

  it('never asks the system for the time in the domain', () => {
    const asks = /\bDate\.now\(\)|\bnew Date\(\)|\bset(Timeout|Interval)\(/
    expect(files.filter(({ path, text }) => layerOf(path) === 'domain' && asks.test(text))).toEqual([])
  })
})
