import { parseArgs } from 'node:util'
import pg from 'pg'
import { databaseUrl, dropAllDatabases } from './contenders/database.mjs'
import { machine, table, write } from './report.mjs'

const usage = `Measures Latchkey, its alternatives, and other versions of it, on one PostgreSQL (BENCH_DATABASE_URL).

  npm run bench -- [--only SECTIONS] [--against DIR] [--rounds 5] [--seconds 4] [--quick]
                   [--attacks TEXT] [--together] [--embedded] [--smoke]

  --only       some of contenders, workloads, restrictions, growth, live, embedded, hostile, against, separated by commas
  --attacks    with --only hostile: only the attacks whose names, or senders, contain this text
  --against    compares this checkout with the one in DIR, which must be installed and built; restrictions compares
               plain keys with DIR's
  --quick      with --only against: 64 callers only, in more and shorter rounds
  --together   with --only against: both checkouts under load at the same time, to compare CPU time per call
  --embedded   only the embedded database; needs no PostgreSQL
  --smoke      everything small and short: shows that the bench works, not how fast anything is
`
// Loaded when they run, so that one that depends on this checkout's build does not stop another from running.
const sections = {
  contenders: async (settings) => (await import('./sections/contenders.mjs')).contenders(settings),
  workloads: async (settings) => (await import('./sections/workloads.mjs')).workloads(settings),
  restrictions: async (settings) => (await import('./sections/restrictions.mjs')).restrictions(settings),
  growth: async (settings) => (await import('./sections/growth.mjs')).growth(settings),
  live: async (settings) => (await import('./sections/live.mjs')).live(settings),
  embedded: async (settings) => (await import('./sections/embedded.mjs')).embedded(settings),
  hostile: async (settings) => (await import('./sections/hostile.mjs')).hostile(settings),
  against: async (settings) => (await import('./sections/against.mjs')).against(settings),
}
const tell = (text) => process.stdout.write(`${text}\n`)

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await dropAllDatabases()
    process.exit(1)
  })
try {
  const values = readArguments()
  if (values.help) process.stdout.write(usage)
  else await main(values)
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error.stack}\n`)
  await dropAllDatabases()
  process.exit(1)
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      against: { type: 'string' },
      attacks: { type: 'string', default: '' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      together: { type: 'boolean', default: false },
      embedded: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  })
  return values
}

function settingsOf({ against, attacks, rounds, seconds, quick, together, smoke }) {
  // The smoke run has nothing to compare with but this checkout itself.
  const common = { tell, quick, together, attacks, other: against ?? (smoke ? '.' : undefined) }
  if (smoke)
    return {
      ...common,
      rounds: 1,
      warm: false,
      embedded: false,
      warmupMs: 100,
      measureMs: 500,
      keys: 1_000,
      sizes: [100, 1_000],
      subscribers: [50],
      accounts: 20,
      attackMs: 150,
      attackSockets: 20,
    }
  return {
    ...common,
    rounds: Number(rounds ?? (quick ? 9 : 5)),
    warm: true,
    leastCalls: quick ? 10_000 : 0,
    embedded: !quick,
    warmupMs: quick ? 300 : 1_500,
    measureMs: Number(seconds ?? (quick ? 1.5 : 4)) * 1_000,
    keys: 10_000,
    sizes: [1_000, 100_000, 1_000_000],
    subscribers: [100, 1_000, 10_000],
    accounts: quick ? 200 : 1_000,
    attackMs: Number(seconds ?? 6) * 1_000,
    attackSockets: 4_000,
  }
}

function wantedSections({ only, embedded }, { other }) {
  if (embedded) return ['embedded']
  const wanted = only?.split(',') ?? Object.keys(sections).filter((name) => name !== 'against' || other)
  const unknown = wanted.filter((name) => !(name in sections))
  if (unknown.length > 0) throw new Error(`There is no section ${unknown.join(', ')}.\n\n${usage}`)
  if (wanted.includes('against') && !other) throw new Error('The section against needs --against DIR.')
  return wanted
}

async function main(values) {
  const settings = settingsOf(values)
  const wanted = wantedSections(values, settings)
  const measured = new Map()
  const measure = async (names) => {
    for (const name of names) {
      const section = await sections[name](settings)
      measured.set(name, section)
      tell(table(section))
    }
  }
  // Sections must not be measured side by side. In a smoke run they may, which is faster.
  const inFirstHalf = (name) => ['contenders', 'restrictions', 'against'].includes(name)
  if (values.smoke)
    await Promise.all([
      measure(wanted.filter(inFirstHalf)),
      measure(wanted.filter((name) => !inFirstHalf(name))),
    ])
  else await measure(wanted)
  const where = machine(values.embedded ? 'the embedded database' : await serverVersion())
  tell(`\n${where}`)
  await write(new URL('./results/', import.meta.url), {
    at: new Date().toISOString(),
    machine: where,
    settings: { ...settings, tell: undefined },
    sections: wanted.map((name) => measured.get(name)),
  })
  tell('Written to bench/results/latest.json and latest.svg.')
}

async function serverVersion() {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query('show server_version')
  await client.end()
  return `PostgreSQL ${rows[0].server_version.split(' ')[0]} on the same machine`
}
