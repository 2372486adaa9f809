// @ts-check
// npm run compile: the server in a few files of dist/, with what it needs of its packages. Installed whole, the
// packages are ten times as large, and Node.js takes three times as long to load them. Those that look for files of
// their own stay outside: they are the `dependencies` in package.json, and what is bundled is a devDependency.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

/** @typedef {import('rolldown').Plugin} Plugin */

const external = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).dependencies)

const bundle = await rolldown({
  input: {
    main: 'src/main.ts',
    'tools/token': 'src/tools/token.ts',
    'tools/traffic': 'src/tools/traffic.ts',
    'tools/print-schema': 'src/tools/print-schema.ts',
    'storage/embedded-worker': 'src/storage/embedded-worker.js',
    // For the bench, which starts parts of the server.
    app: 'src/app.ts',
    config: 'src/config.ts',
    development: 'src/development.ts',
    log: 'src/log.ts',
    'schema/index': 'src/schema/index.ts',
    'domain/secret': 'src/domain/secret.ts',
  },
  platform: 'node',
  logLevel: 'warn',
  external,
  plugins: [oneGraphql(), licences()],
})

// The build before this one goes, except for the client area, which is built apart.
const directory = 'dist'
mkdirSync(directory, { recursive: true })
for (const entry of readdirSync(directory))
  if (entry !== 'client-area') rmSync(join(directory, entry), { recursive: true })

await bundle.write({
  dir: directory,
  // All directly in dist/, where the paths of src/paths.ts hold.
  chunkFileNames: '[name].js',
  // Code is not minified: stack traces can be read without source maps, which would take memory.
  comments: false,
})

/**
 * Everyone gets GraphQL's ES modules. The CommonJS ones beside them would be a second copy, with other classes.
 * @returns {Plugin}
 */
function oneGraphql() {
  return {
    name: 'one-graphql',
    resolveId: {
      filter: { id: /^graphql(\/|$)/ },
      async handler(id, importer) {
        const resolved = await this.resolve(id, importer, { skipSelf: true })
        return resolved && { ...resolved, id: resolved.id.replace(/\.js$/, '.mjs') }
      },
    },
    buildEnd() {
      const copies = [...this.getModuleIds()].filter((id) => /\/node_modules\/graphql\/.*\.js$/.test(id))
      if (copies.length > 0) this.error(`There is a second copy of graphql: ${copies.join(', ')}`)
    },
  }
}

/**
 * Writes the licences of all packages that are bundled.
 * @returns {Plugin}
 */
function licences() {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const notices = packageDirectoriesOf(bundle).map(noticeOf)
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENCES.txt', source: notices.join('\n\n') })
    },
  }
}

/** @param {import('rolldown').OutputBundle} bundle */
function packageDirectoriesOf(bundle) {
  const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  const directories = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0])
  return [...new Set(directories)].filter((directory) => directory !== undefined).sort()
}

/** @param {string} directory */
function noticeOf(directory) {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|notice)/i.test(file))
  const texts = files.map((file) => readFileSync(join(directory, file), 'utf8').trim())
  return [`${name} ${version} (${license})`, ...texts].join('\n\n')
}
