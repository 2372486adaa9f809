import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { cpuMeter } from '../load/cpu.mjs'
import { cpuPerCall, delay } from '../load/stats.mjs'
import { databaseOf } from './database.mjs'

/** The table for the upper bound without batching: one upsert per transaction, one transaction per call. */
export async function createUpsertTable(url, keys) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table usage (key int primary key, calls bigint not null) with (fillfactor = 50)')
  await client.query('insert into usage select n, 0 from generate_series(0, $1 - 1) n', [keys])
  await client.query('vacuum analyze usage')
  await client.end()
}

/** Runs pgbench with prepared statements. Latencies are those of every transaction, from its log. */
export async function runPgbench({ url, keys, callers, measureMs }) {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const script = join(directory, 'upsert.sql')
  await writeFile(
    script,
    `\\set key random(0, ${keys - 1})\ninsert into usage values (:key, 1) on conflict (key) do update set calls = usage.calls + 1 returning calls;\n`,
  )
  const { hostname, port, username } = new URL(url)
  const seconds = Math.max(1, Math.round(measureMs / 1_000))
  const server = ['-h', hostname, '-p', port || '5432', '-U', username]
  const options = ['-n', '-M', 'prepared', '-f', script, '-l']
  const size = ['-c', callers, '-j', '1', '-T', seconds].map(String)
  const child = spawn('pgbench', [...server, ...options, ...size, databaseOf(url)], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [output, cpu, [code]] = await Promise.all([
    text(child.stdout),
    measureCpu(databaseOf(url), seconds * 1_000),
    once(child, 'exit'),
  ])
  if (code !== 0) throw new Error(`pgbench ended with ${code}.`)
  const transactions = await readLog(directory)
  await rm(directory, { recursive: true })
  const latencies = transactions.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)
  const meanwhile = transactions.filter(({ endedAt }) => endedAt >= cpu.from && endedAt < cpu.to)
  return {
    callsPerSecond: Number(/tps = ([\d.]+)/.exec(output)?.[1]),
    refusedShare: 0,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)],
    p99Ms: latencies[Math.floor(latencies.length * 0.99)],
    ...cpuPerCall(cpu, meanwhile.length),
  }
}

/** The CPU time of PostgreSQL without the beginning and the end of the run, when connections are made and closed. */
async function measureCpu(database, runMs) {
  const meter = cpuMeter({ database })
  await delay(runMs * 0.3)
  meter.start()
  const from = Date.now()
  await delay(runMs * 0.5)
  const to = Date.now()
  return { ...meter.stop(), from, to }
}

/** The transactions in the log of pgbench -l: client, transaction, µs it took, script, when it ended (s and µs). */
async function readLog(directory) {
  const transactions = []
  for (const file of await readdir(directory)) {
    if (!file.startsWith('pgbench_log')) continue
    for (const line of (await readFile(join(directory, file), 'utf8')).split('\n')) {
      const [, , latencyUs, , endedS, endedUs] = line.split(' ').map(Number)
      if (latencyUs > 0)
        transactions.push({ latencyMs: latencyUs / 1_000, endedAt: endedS * 1_000 + endedUs / 1_000 })
    }
  }
  return transactions
}
