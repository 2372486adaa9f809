import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, dropDatabase } from './contenders/database.mjs'
import { createUpsertTable, runPgbench } from './contenders/pgbench.mjs'
import { startContender } from './contenders/process.mjs'
import { fill } from './data.mjs'
import { interleave, load } from './measure.mjs'
import { check } from './report.mjs'

/** Starts Latchkey on a database of its own, filled as asked. */
export async function startLatchkey(name, data, { plainHttp = true, environment = {} } = {}) {
  const database = `bench_${name}`
  const url = await createDatabase(database)
  const server = await startContender('./latchkey.mjs', {
    environment: { DATABASE_URL: url, ...environment },
    plainHttp,
  })
  if (data) await fill(url, data)
  return {
    ...server,
    databaseUrl: url,
    async stop() {
      await server.stop()
      await dropDatabase(database)
    },
  }
}

/** Against everything that could be picked instead, and against the ceilings. */
export async function contenders({ keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the contenders …')
  const common = { keys, distribution: 'uniform', warmupMs, measureMs }
  const betterAuthUrl = await createDatabase('bench_better_auth')
  const handRolledUrl = await createDatabase('bench_hand_rolled')
  const upsertUrl = await createDatabase('bench_upsert')
  await createUpsertTable(upsertUrl, keys)
  const [latchkey, throughYoga, betterAuth, handRolled, bare] = await Promise.all([
    startLatchkey('latchkey', { keys }),
    startLatchkey('yoga', undefined, { plainHttp: false }),
    startContender('./better-auth.mjs', { url: betterAuthUrl, keys }),
    startContender('./mercurius.mjs', { url: handRolledUrl, keys }),
    startContender('./bare-node.mjs', {}),
  ])
  const of = ({ url, gatewayToken: token }) => ({ ...common, url, token, callers: 64 })
  const names = {
    ws: 'Latchkey, graphql-ws, 64 callers',
    http: 'Latchkey, HTTP POST, 64 callers',
    many: 'Latchkey, meterApiCalls of 100, 8 callers',
    meter: 'Latchkey, in-process, 64 callers',
    betterAuth: 'Better Auth, in-process, 64 callers',
    betterAuthHttp: 'Better Auth, node:http, 64 callers',
    handRolled: 'Mercurius + UPDATE, HTTP, 64 callers',
    noopWs: 'no-op mutation, graphql-ws, 64 callers',
    noopHttp: 'no-op mutation, HTTP POST, 64 callers',
    noopYoga: 'no-op mutation, Yoga’s own HTTP, 64 callers',
    bare: 'bare node:http, 64 callers',
    upsert: 'pgbench, an upsert a call, 64 callers',
    wsAlone: 'Latchkey, graphql-ws, 1 caller',
    upsertAlone: 'pgbench, an upsert a call, 1 caller',
  }
  const runs = {
    ws: () => load({ ...of(latchkey), transport: 'websocket', operation: 'meter' }),
    http: () => load({ ...of(latchkey), transport: 'http', operation: 'meter' }),
    many: () =>
      load({ ...of(latchkey), transport: 'websocket', operation: 'meterMany', batch: 100, callers: 8 }),
    meter: () => latchkey.ask({ ...common, kind: 'in-process', callers: 64 }),
    betterAuth: () => betterAuth.ask({ ...common, callers: 64 }),
    betterAuthHttp: () => load({ ...of(betterAuth), transport: 'http', operation: 'verify' }),
    handRolled: () => load({ ...of(handRolled), transport: 'http', operation: 'handRolled' }),
    noopWs: () => load({ ...of(latchkey), transport: 'websocket', operation: 'noop' }),
    noopHttp: () => load({ ...of(latchkey), transport: 'http', operation: 'noop' }),
    noopYoga: () => load({ ...of(throughYoga), transport: 'http', operation: 'noop' }),
    bare: () => load({ ...of(bare), transport: 'http', operation: 'noop' }),
    upsert: () => runPgbench({ url: upsertUrl, keys, callers: 64, measureMs }),
    wsAlone: () => load({ ...of(latchkey), transport: 'websocket', operation: 'meter', callers: 1 }),
    upsertAlone: () => runPgbench({ url: upsertUrl, keys, callers: 1, measureMs }),
  }
  const lines = await interleave(
    Object.keys(runs).map((key) => ({ name: names[key], run: runs[key] })),
    rounds,
    tell,
  )
  for (const server of [latchkey, throughYoga, betterAuth, handRolled, bare]) await server.stop()
  for (const name of ['bench_better_auth', 'bench_hand_rolled', 'bench_upsert']) await dropDatabase(name)
  const at = (key) => lines.find(({ name }) => name === names[key])
  const rate = (key, other) => at(key).callsPerSecond / at(other).callsPerSecond
  const checks = [
    check('graphql-ws over Better Auth in-process', rate('ws', 'betterAuth'), 'at least', 15),
    check(
      'p99 over graphql-ws to that of Better Auth in-process',
      at('ws').p99Ms / at('betterAuth').p99Ms,
      'at most',
      1,
    ),
    check('graphql-ws to the no-op on the same socket', rate('ws', 'noopWs'), 'at least', 0.5),
    check('HTTP over Better Auth behind node:http', rate('http', 'betterAuthHttp'), 'at least', 10),
    check('HTTP over Mercurius written by hand', rate('http', 'handRolled'), 'at least', 2),
    check('HTTP to the no-op over the same HTTP', rate('http', 'noopHttp'), 'at least', 0.6),
    check('that no-op over the same through Yoga’s own HTTP', rate('noopHttp', 'noopYoga'), 'at least', 2.5),
    check('meterApiCalls of 100 over Better Auth', rate('many', 'betterAuth'), 'at least', 40),
    check(
      'p50 of one caller to that of a single upsert',
      at('wsAlone').p50Ms / at('upsertAlone').p50Ms,
      'at most',
      2,
    ),
  ]
  return {
    title: `Contenders: uniform over ${keys.toLocaleString('en-US')} keys of ${(keys / 10).toLocaleString('en-US')} accounts`,
    lines,
    checks,
  }
}

/** The same server under other loads. */
export async function workloads({ keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the workloads …')
  const [latchkey, denied] = await Promise.all([
    startLatchkey('workloads', { keys }),
    startLatchkey('denied', { keys, someDenied: true }),
  ])
  const order = ({ url, gatewayToken: token }, more) =>
    load({
      url,
      token,
      keys,
      distribution: 'uniform',
      warmupMs,
      measureMs,
      transport: 'websocket',
      operation: 'meter',
      callers: 64,
      ...more,
    })
  const lines = await interleave(
    [
      ...[1, 64, 512].map((callers) => ({
        name: `uniform, graphql-ws, ${callers} callers`,
        run: () => order(latchkey, { callers }),
      })),
      ...[1, 64, 512].map((callers) => ({
        name: `uniform, HTTP POST, ${callers} callers`,
        run: () => order(latchkey, { callers, transport: 'http' }),
      })),
      {
        name: 'Zipf (s = 1.1), graphql-ws, 64 callers',
        run: () => order(latchkey, { distribution: 'zipf' }),
      },
      { name: 'one hot key, graphql-ws, 64 callers', run: () => order(latchkey, { distribution: 'hot' }) },
      { name: '5% of calls denied, graphql-ws, 64 callers', run: () => order(denied, {}) },
    ],
    rounds,
    tell,
  )
  await latchkey.stop()
  await denied.stop()
  return { title: 'Workloads', lines }
}

/** How the cost of a call grows with what is stored. */
export async function growth({ sizes, keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the growth (this takes a while) …')
  const variants = [
    ...sizes.map((size) => ({ name: `${size.toLocaleString('en-US')} keys`, data: { keys: size } })),
    { name: `${keys.toLocaleString('en-US')} keys, 1 month, lists of 1`, data: { keys, accessList: 1 } },
    { name: `${keys.toLocaleString('en-US')} keys, 24 months`, data: { keys, months: 24, accessList: 1 } },
    { name: `${keys.toLocaleString('en-US')} keys, lists of 40`, data: { keys, accessList: 40 } },
  ]
  const servers = await Promise.all(
    variants.map(async ({ name, data }, index) => ({
      name,
      data,
      ...(await startLatchkey(`growth_${index}`, data)),
    })),
  )
  const lines = await interleave(
    servers.map(({ name, data, url, gatewayToken: token }) => ({
      name,
      run: () =>
        load({
          url,
          token,
          keys: data.keys,
          distribution: 'zipf',
          warmupMs,
          measureMs,
          transport: 'websocket',
          operation: 'meter',
          callers: 64,
        }),
    })),
    rounds,
    tell,
  )
  await Promise.all(servers.map(({ stop }) => stop()))
  const cost = (name, than) =>
    lines.find((line) => line.name === than).callsPerSecond /
    lines.find((line) => line.name === name).callsPerSecond
  const [smallest, largest] = [variants[0].name, variants[sizes.length - 1].name]
  const [plain, history, lists] = variants.slice(sizes.length).map(({ name }) => name)
  return {
    title: 'Growth: Zipf, graphql-ws, 64 callers',
    lines,
    checks: [
      check(`cost of a call at ${largest} to that at ${smallest}`, cost(largest, smallest), 'at most', 1.3),
      check('cost with 24 months of history to that with 1', cost(history, plain), 'at most', 1.1),
      check('cost with lists of 40 API calls to that with lists of 1', cost(lists, plain), 'at most', 1.1),
    ],
  }
}

/** What a stranger runs: no database server at all. */
export async function embedded({ warmupMs, measureMs, rounds, tell }) {
  tell('preparing the embedded database …')
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const server = await startContender('./latchkey.mjs', {
    environment: { DATA_DIR: directory },
    plainHttp: true,
  })
  const keys = await server.ask({ kind: 'make keys', keys: 100 })
  await server.ask({ kind: 'watch delay' })
  const lines = await interleave(
    [1, 64, 512].map((callers) => ({
      name: `Latchkey, embedded, graphql-ws, ${callers} callers`,
      run: () =>
        load({
          url: server.url,
          token: server.gatewayToken,
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
