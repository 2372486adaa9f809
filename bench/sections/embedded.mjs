import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startContender } from '../contenders/process.mjs'
import { interleave, load } from '../measure.mjs'
import { check } from '../report.mjs'

/** Latchkey with its embedded database. PGlite runs in the server's process, so its CPU time is the server's. */
export async function embedded({ warmupMs, measureMs, rounds, tell }) {
  tell('preparing the embedded database …')
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const server = await startContender('./latchkey.mjs', {
    environment: { DATA_DIR: directory },
  })
  const keys = await server.ask({ kind: 'make keys', keys: 100 })
  await server.ask({ kind: 'watch delay' })
  const lines = await interleave(
    [1, 64, 512].map((callers) => ({
      name: `Latchkey, embedded, graphql-ws, ${callers === 1 ? '1 caller' : `${callers} callers`}`,
      run: () =>
        load({
          url: server.url,
          token: server.gatewayToken,
          cpu: server.cpu,
          secrets: keys,
          keys: keys.length,
          distribution: 'uniform',
          warmupMs,
          measureMs,
          transport: 'websocket',
          operation: 'meter',
          callers,
        }),
    })),
    rounds,
    tell,
  )
  const { delayP99Ms } = await server.ask({ kind: 'usage' })
  await server.stop()
  await rm(directory, { recursive: true, force: true })
  return {
    title: 'Embedded database (PGlite), 100 keys',
    lines,
    checks: [
      check('calls a second, 64 callers', lines[1].callsPerSecond, 'at least', 5_000, '/s'),
      check('p99 of the event loop’s delay', delayP99Ms, 'at most', 20, 'ms'),
    ],
  }
}
