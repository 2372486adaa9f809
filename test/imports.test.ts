import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.[jt]s$/.test(path) && !path.startsWith('generated'))
  .map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join('src', path), 'utf8') }))

/** The modules that a file imports, as paths below src or as names of packages; types count, too. */
function importsOf({ path, text }: { path: string; text: string }): string[] {
  const statements = /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*'([^']+)'|\bimport\(\s*'([^']+)'/g
  return [...text.matchAll(statements)].map(([, fromStatement, fromCall]) => {
    const module = fromStatement ?? fromCall ?? ''
    return module.startsWith('.') ? relative('.', join(dirname(path), module)) : module
  })
}

/** The folder that a file of src is in, or for those at the top its own name. */
const layerOf = (path: string) => path.split('/')[0] ?? path

/** What each layer may import of src, its own files aside. The composition root may import everything. */
const allowed: Record<string, string[]> = {
  domain: ['errors.ts', 'clock.ts'],
  storage: ['domain', 'generated', 'errors.ts', 'clock.ts', 'paths.ts'],
  schema: ['domain', 'generated', 'errors.ts', 'clock.ts'],
  http: ['schema', 'domain', 'errors.ts', 'clock.ts', 'log.ts', 'paths.ts'],
  'errors.ts': [],
  'clock.ts': [],
  'paths.ts': [],
  'log.ts': ['domain'],
  'setting-types.ts': ['domain'],
  'config.ts': ['domain', 'log.ts', 'setting-types.ts'],
}
const compositionRoot = ['main.ts', 'run.ts', 'app.ts', 'development.ts', 'tools']

/** Packages and modules of Node.js that would bring a transport or a database into a layer. */
const transports = /^(graphql(-.+)?|@graphql-.+|ws|node:(http|https|http2|net))(\/|$)/
const databases = /^(pg|ioredis|@prisma\/.+|@electric-sql\/.+)(\/|$)/
const pothos = /^@pothos\//
const forbiddenPackages: Record<string, RegExp[]> = {
  domain: [transports, databases, pothos, /^node:(process|fs|fs\/promises|worker_threads)$/],
  storage: [/^(graphql|graphql-.+|ws|node:http)(\/|$)/, pothos],
  schema: [/^(graphql-yoga|graphql-ws|ws|node:http)(\/|$)/, databases],
  http: [databases],
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

  it('has no file outside the layers', () => {
    const layers = [...Object.keys(allowed), ...compositionRoot]
    expect(files.map(({ path }) => layerOf(path)).filter((layer) => !layers.includes(layer))).toEqual([])
  })

  it.each(Object.keys(allowed))('keeps %s to what it may import', (layer) => {
    const reach = [layer, ...(allowed[layer] ?? [])]
    const strays = files
      .filter(({ path }) => layerOf(path) === layer)
      .flatMap((file) => importsOf(file).map((module) => ({ path: file.path, module })))
      .filter(({ module }) => {
        const own = /\.[jt]s$/.test(module) && !module.startsWith('graphql/')
        if (own) return !reach.includes(layerOf(module))
        return (forbiddenPackages[layer] ?? []).some((pattern) => pattern.test(module))
      })
    expect(strays).toEqual([])
  })

  it('reads the environment in config.ts alone', () => {
    expect(
      files.filter(({ text }) => /\bprocess\.env\b|\benv\b.*node:process/.test(text)).map(({ path }) => path),
    ).toEqual(['config.ts'])
  })

  it('asks the system for the time nowhere in the domain', () => {
    const asks = /\bDate\.now\(\)|\bnew Date\(\)|\bset(Timeout|Interval)\(/
    expect(files.filter(({ path, text }) => layerOf(path) === 'domain' && asks.test(text))).toEqual([])
  })
})
