#!/usr/bin/env node
// Prints the SQL that is missing from prisma/migrations for prisma/schema.prisma; nothing if they agree. Runs Prisma's
// schema engine as WebAssembly over an in-memory PGlite, so it downloads nothing and needs no database server.
// Run it from the project's root: npm run db:diff
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.cwd(), 'package.json'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const { PGlite } = await load('@electric-sql/pglite')
const { PrismaPGlite } = await load('pglite-prisma-adapter')
const { bindMigrationAwareSqlAdapterFactory } = await load('@prisma/driver-adapter-utils')

const glue = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg')
const runtime = await import(pathToFileURL(glue).href)
const module = new WebAssembly.Module(readFileSync(glue.replace(/\.js$/, '.wasm')))
const instance = new WebAssembly.Instance(module, { './schema_engine_bg.js': runtime })
runtime.__wbg_set_wasm(instance.exports)
instance.exports.__wbindgen_start()

const schema = readFileSync('prisma/schema.prisma', 'utf8')
const root = 'prisma/migrations'
const names = existsSync(root)
  ? readdirSync(root, { withFileTypes: true })
      .filter((d) => d.isDirectory())
      .map((d) => d.name)
      .sort()
  : []
const migrations = {
  tag: 'migrations',
  baseDir: root,
  lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
  shadowDbInitScript: '',
  migrationDirectories: names.map((name) => ({
    path: name,
    migrationFile: {
      path: 'migration.sql',
      content: { tag: 'ok', value: readFileSync(join(root, name, 'migration.sql'), 'utf8') },
    },
  })),
}

class WithShadow extends PrismaPGlite {
  async connectToShadowDb() {
    return new PrismaPGlite(await PGlite.create()).connect()
  }
}
const adapter = bindMigrationAwareSqlAdapterFactory(new WithShadow(await PGlite.create()))
const engine = await runtime.SchemaEngine.new({ datamodels: [['schema.prisma', schema]] }, () => {}, adapter)
const { exitCode, stdout } = await engine.diff({
  from: migrations,
  to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
  script: true,
  shadowDatabaseUrl: null,
  exitCode: true,
  filters: { externalTables: [], externalEnums: [] },
})
if (exitCode === 2) process.stdout.write(stdout)
process.exit(exitCode === 0 || exitCode === 2 ? 0 : 1)
