import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addKeys, assertBuilt, mintToken, startCheckout } from '../checkout.mjs'
import { createDatabase, dropDatabase, settle } from '../contenders/database.mjs'
import { load, median, progressOf, summaryOf } from '../measure.mjs'
import { check } from '../report.mjs'
import { meterForSubscribers, openSubscribers } from '../subscribers.mjs'

const thisCheckout = fileURLToPath(new URL('../../', import.meta.url))
const sides = ['new', 'old']
const ratios = ['callsPerSecond', 'serverCpuUs', 'postgresCpuUs', 'p99Ms', 'deliveryP99Ms']

/**
 * This checkout (`new`) against another (`old`). Both run as black boxes at the same time, and each measurement is
 * made of one right after the other, in the opposite order in the next round. So a ratio of the two is that of one
 * round, and what else the machine does affects both alike.
 */
export async function against({ other, quick, accounts, warmupMs, measureMs, warmRounds, rounds, tell }) {
  assertBuilt(other)
  tell('preparing this checkout and the one to compare with …')
  const servers = await startBoth({ directories: { new: thisCheckout, old: other }, accounts, quick })
  const measurements = measurementsOf({ accounts, warmupMs, measureMs, quick })
  const results = measurements.map(({ name, on, run }) => ({ name, on, run, new: [], old: [] }))
  // The first rounds, which are not counted, let V8 optimise both.
  for (let round = 1 - warmRounds; round <= rounds; round++) {
    for (const result of results) {
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        const server = servers[result.on][side]
        const measured = await result.run(server)
        await server.resetLog()
        if (round < 1) continue
        result[side].push(measured)
        tell(progressOf(round, `${side}, ${result.name}`, measured))
      }
    }
  }
  await servers.stop()
  const comparisons = results.map(comparisonOf)
  return {
    title: `This checkout (new) against ${resolve(other)} (old)`,
    lines: results.flatMap((result) =>
      sides.map((side) => ({ name: `${side}, ${result.name}`, ...summaryOf(result[side]) })),
    ),
    comparisons,
    checks: comparisons.map(({ name, callsPerSecond }) =>
      check(`calls a second, new to old: ${name}`, callsPerSecond?.median, 'at least', 0.95),
    ),
  }
}

/** The ratio new/old of each figure: the median of the rounds, with the least and the greatest. */
function comparisonOf({ name, new: news, old: olds }) {
  const comparison = { name }
  for (const figure of ratios) {
    const values = news.map((measured, round) => measured[figure] / olds[round][figure])
    if (values.every(Number.isFinite))
      comparison[figure] = { median: median(values), min: Math.min(...values), max: Math.max(...values) }
  }
  return comparison
}

function measurementsOf({ accounts, warmupMs, measureMs, quick }) {
  const send = (more) => (server) =>
    load({
      ...orderFor(server),
      warmupMs,
      measureMs,
      transport: 'websocket',
      operation: 'meter',
      callers: 64,
      ...more,
    })
  const overWebSocket = { name: 'graphql-ws, 64 callers', on: 'postgres', run: send({}) }
  const overHttp = { name: 'HTTP POST, 64 callers', on: 'postgres', run: send({ transport: 'http' }) }
  if (quick) return [overWebSocket, overHttp]
  return [
    overWebSocket,
    overHttp,
    {
      name: 'meterApiCalls of 100, 8 callers',
      on: 'postgres',
      run: send({ operation: 'meterMany', batch: 100, callers: 8 }),
    },
    { name: 'graphql-ws, 1 caller', on: 'postgres', run: send({ callers: 1 }) },
    {
      name: `live counts, ${accounts.toLocaleString('en-US')} subscribers`,
      on: 'postgres',
      run: (server) => watched(server, { accounts, warmupMs, measureMs }),
    },
    { name: 'embedded, graphql-ws, 64 callers', on: 'embedded', run: send({}) },
  ]
}

const orderFor = ({ url, gatewayToken: token, cpu, secrets }) => ({
  url,
  token,
  cpu,
  secrets,
  keys: secrets.length,
  distribution: 'uniform',
})

/** One subscriber per account, while calls are metered with the accounts' keys. */
async function watched(server, { accounts, warmupMs, measureMs }) {
  const tokens = Array.from({ length: accounts }, (_, i) =>
    mintToken({ scope: 'keys:read', account: `account-${i}` }),
  )
  const subscribers = await openSubscribers(server.url, tokens)
  subscribers.record()
  const metered = await meterForSubscribers({ ...orderFor(server), warmupMs, measureMs })
  const report = await subscribers.report()
  await subscribers.close()
  return { ...metered, ...report }
}

/** `{ postgres: { new, old }, embedded: { new, old } }`, each with the secrets of its keys. */
async function startBoth({ directories, accounts, quick }) {
  const databases = []
  const started = { postgres: {}, embedded: {} }
  for (const side of sides) {
    const databaseUrl = await createDatabase(`against_${side}`)
    databases.push(databaseUrl)
    started.postgres[side] = await startCheckout(directories[side], { databaseUrl })
    if (!quick) started.embedded[side] = await startCheckout(directories[side])
  }
  const prepare = async (server, keys) => {
    server.secrets = await addKeys(server, keys)
  }
  await Promise.all([
    ...Object.values(started.postgres).map((server) =>
      prepare(server, { accounts, keysPerAccount: 2, callers: 8 }),
    ),
    // One at a time: PGlite has a single connection.
    ...Object.values(started.embedded).map((server) =>
      prepare(server, { accounts: 10, keysPerAccount: 10, callers: 1 }),
    ),
  ])
  for (const url of databases) await settle(url)
  return {
    ...started,
    async stop() {
      for (const servers of Object.values(started))
        for (const server of Object.values(servers)) await server.stop()
      for (const url of databases) await dropDatabase(url)
    },
  }
}
