import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

/** The database's own ceiling for counting each call in a commit of its own: one upsert a transaction. */
export async function createUpsertTable(url, keys) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table usage (key int primary key, calls bigint not null) with (fillfactor = 50)')
  await client.query('insert into usage select n, 0 from generate_series(0, $1 - 1) n', [keys])
  await client.query('vacuum analyze usage')
  await client.end()
}

/** Runs pgbench with prepared statements; the latencies are of every transaction, from its log. */
export async function runPgbench({ url, keys, callers, measureMs }) {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const script = join(directory, 'upsert.sql')
  await writeFile(
    script,
    `\\set key random(0, ${keys - 1})\ninsert into usage values (:key, 1) on conflict (key) do update set calls = usage.calls + 1 returning calls;\n`,
  )
  const { hostname, port, username, pathname } = new URL(url)
  const seconds = String(Math.max(1, Math.round(measureMs / 1_000)))
  const parameters = [
    '-h',
    hostname,
    '-p',
    port || '5432',
    '-U',
    username,
    '-n',
    '-M',
    'prepared',
    '-f',
    script,
  ]
  const child = spawn(
    'pgbench',
    [...parameters, '-c', String(callers), '-j', '1', '-T', seconds, '-l', pathname.slice(1)],
    {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  await once(child, 'exit')
  const latencies = []
  for (const file of await readdir(directory)) {
    if (!file.startsWith('pgbench_log')) continue
    for (const line of (await readFile(join(directory, file), 'utf8')).split('\n')) {
      const microseconds = Number(line.split(' ')[2])
      if (microseconds > 0) latencies.push(microseconds / 1_000)
    }
  }
  await rm(directory, { recursive: true })
  latencies.sort((a, b) => a - b)
  return {
    callsPerSecond: Number(/tps = ([\d.]+)/.exec(output)?.[1]),
    refusedShare: 0,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)],
    p99Ms: latencies[Math.floor(latencies.length * 0.99)],
    idleShare: undefined,
  }
}
