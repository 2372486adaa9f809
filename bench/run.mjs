import { parseArgs } from 'node:util'
import pg from 'pg'
import { databaseUrl } from './contenders/database.mjs'
import { live } from './live.mjs'
import { machine, table, write } from './report.mjs'
import { contenders, embedded, growth, workloads } from './sections.mjs'

const usage = `Measures Latchkey against what could be picked instead, on one PostgreSQL (BENCH_DATABASE_URL).

  npm run bench -- [--only contenders,workloads,growth,live,embedded] [--rounds 5] [--seconds 4] [--embedded] [--smoke]

  --embedded   only the embedded database; needs no PostgreSQL
  --smoke      everything small and short: whether the bench works, not how fast anything is
`
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    embedded: { type: 'boolean' },
    smoke: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}

const tell = (text) => process.stdout.write(`${text}\n`)
const settings = values.smoke
  ? { rounds: 1, warmupMs: 100, measureMs: 500, keys: 1_000, sizes: [100, 1_000], subscribers: [50], tell }
  : {
      rounds: Number(values.rounds),
      warmupMs: 1_500,
      measureMs: Number(values.seconds) * 1_000,
      keys: 10_000,
      sizes: [1_000, 100_000, 1_000_000],
      subscribers: [100, 1_000, 10_000],
      tell,
    }
const all = { contenders, workloads, growth, live, embedded }
const wanted = values.embedded ? ['embedded'] : (values.only?.split(',') ?? Object.keys(all))

const sections = []
const runAll = async (names) => {
  for (const name of names) {
    const section = await all[name](settings)
    sections[wanted.indexOf(name)] = section
    tell(table(section))
  }
}
// None is measured beside another; where nothing is measured, two are faster.
if (values.smoke) await Promise.all([runAll(wanted.slice(0, 1)), runAll(wanted.slice(1))])
else await runAll(wanted)
const where = machine(values.embedded ? 'the embedded database' : await serverVersion())
tell(`\n${where}`)
await write(new URL('./results/', import.meta.url), {
  at: new Date().toISOString(),
  machine: where,
  settings: { ...settings, tell: undefined },
  sections,
})
tell('Written to bench/results/latest.json and latest.svg.')
process.exit(0)

async function serverVersion() {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query('show server_version')
  await client.end()
  return `PostgreSQL ${rows[0].server_version.split(' ')[0]} on the same machine`
}
