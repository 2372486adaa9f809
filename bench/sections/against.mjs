import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addKeys, assertBuilt, mintToken, startCheckout } from '../checkout.mjs'
import { createDatabase, dropDatabase, settle } from '../contenders/database.mjs'
import { load, progressOf, spreadOf, summaryOf } from '../measure.mjs'
import { check } from '../report.mjs'
import { meterForSubscribers, openSubscribers } from '../subscribers.mjs'

const thisCheckout = fileURLToPath(new URL('../../', import.meta.url))
const sides = ['new', 'old']
const ratios = ['callsPerSecond', 'serverCpuUs', 'postgresCpuUs', 'p99Ms', 'deliveryP99Ms']

/** The number of calls after which V8 has optimised most of a server; its CPU time per call still falls after that. */
const warmCalls = 20_000

/**
 * Compares this checkout (`new`) with another (`old`). Both run at the same time, as black boxes, and are measured one
 * right after the other, in the opposite order in the next round. Each ratio compares two measurements of one round, so
 * other load on the machine affects both alike. With `together`, both are under load at the same time, which says
 * nothing about calls per second but makes CPU time per call comparable even on a busy machine.
 */
export async function against({ other, tell, ...settings }) {
  assertBuilt(other)
  tell('preparing this checkout and the one to compare with …')
  const servers = await startBoth({ new: thisCheckout, old: other }, settings)
  const results = measurementsOf(settings).map((measurement) => ({ ...measurement, new: [], old: [] }))
  if (settings.warm) await warmUp([servers.postgres, servers.embedded].flatMap(Object.values))
  for (let round = 1; round <= settings.rounds; round++) {
    for (const result of results) {
      const measure = async (side) => {
        const measured = await result.run(servers[result.on][side])
        await servers[result.on][side].resetLog()
        result[side].push(measured)
        tell(progressOf(round, `${side}, ${result.name}`, measured))
      }
      const order = round % 2 === 0 ? sides : sides.toReversed()
      if (settings.together) await Promise.all(order.map(measure))
      else for (const side of order) await measure(side)
    }
  }
  await servers.stop()
  return sectionOf(results, { other, ...settings })
}

function sectionOf(results, { other, together }) {
  const comparisons = results.map(comparisonOf)
  return {
    title: `This checkout (new) against ${resolve(other)} (old)${together ? ', both at the same time' : ''}`,
    lines: results.flatMap((result) =>
      sides.map((side) => ({ name: `${side}, ${result.name}`, ...summaryOf(result[side]) })),
    ),
    comparisons,
    checks: together
      ? []
      : comparisons.map(({ name, callsPerSecond }) =>
          check(`calls a second, new to old: ${name}`, callsPerSecond?.median, 'at least', 0.95),
        ),
  }
}

/** Sends every server calls over both transports until V8 has optimised it. */
async function warmUp(servers) {
  for (const server of servers) {
    for (const transport of ['websocket', 'http']) {
      for (let calls = 0; calls < warmCalls; ) {
        const { callsPerSecond } = await send(server, { transport, warmupMs: 0, measureMs: 1_000 })
        calls += callsPerSecond
      }
    }
    await server.resetLog()
  }
}

/** The ratio new/old of each figure: the median of the rounds, with the least and the greatest. */
function comparisonOf({ name, new: news, old: olds }) {
  const comparison = { name }
  for (const figure of ratios) {
    const spread = spreadOf(news.map((measured, round) => measured[figure] / olds[round][figure]))
    if (spread) comparison[figure] = spread
  }
  return comparison
}

function measurementsOf({ accounts, warmupMs, measureMs, leastCalls, quick, embedded }) {
  const sending = (more) => (server) => send(server, { warmupMs, measureMs, leastCalls, ...more })
  const basic = [
    { name: 'graphql-ws, 64 callers', on: 'postgres', run: sending({}) },
    { name: 'HTTP POST, 64 callers', on: 'postgres', run: sending({ transport: 'http' }) },
  ]
  if (quick) return basic
  return [
    ...basic,
    {
      name: 'meterApiCalls of 100, 8 callers',
      on: 'postgres',
      run: sending({ operation: 'meterMany', batch: 100, callers: 8 }),
    },
    { name: 'graphql-ws, 1 caller', on: 'postgres', run: sending({ callers: 1 }) },
    {
      name: `live counts, ${accounts.toLocaleString('en-US')} subscribers`,
      on: 'postgres',
      run: (server) => watched(server, { accounts, warmupMs, measureMs }),
    },
    ...(embedded ? [{ name: 'embedded, graphql-ws, 64 callers', on: 'embedded', run: sending({}) }] : []),
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

const send = (server, more) =>
  load({ ...orderFor(server), transport: 'websocket', operation: 'meter', callers: 64, ...more })

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
async function startBoth(directories, { accounts, embedded }) {
  const databases = []
  const started = { postgres: {}, embedded: {} }
  for (const side of sides) {
    const databaseUrl = await createDatabase(`against_${side}`)
    databases.push(databaseUrl)
    const server = await startCheckout(directories[side], { databaseUrl })
    server.secrets = await addKeys(server, { accounts, keysPerAccount: 2, callers: 8 })
    started.postgres[side] = server
    if (embedded) {
      const server = await startCheckout(directories[side])
      // One at a time, because PGlite has a single connection.
      server.secrets = await addKeys(server, { accounts: 10, keysPerAccount: 10, callers: 1 })
      started.embedded[side] = server
    }
  }
  for (const url of databases) await settle(url)
  return {
    ...started,
    async stop() {
      for (const servers of [started.postgres, started.embedded])
        for (const server of Object.values(servers)) await server.stop()
      for (const url of databases) await dropDatabase(url)
    },
  }
}
