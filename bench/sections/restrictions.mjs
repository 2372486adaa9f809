import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertBuilt, startCheckout } from '../checkout.mjs'
import { createDatabase, dropDatabase } from '../contenders/database.mjs'
import { fill } from '../data.mjs'
import { interleave, load, spreadOf } from '../measure.mjs'
import { check, ratioText } from '../report.mjs'

const thisCheckout = fileURLToPath(new URL('../../', import.meta.url))
const count = (number) => number.toLocaleString('en-US')

/** How long each server is under load before the first round. Most of it is optimised by V8 then. */
const warmMs = 3_000

/**
 * What the reasons to refuse a call cost while nothing is refused. Each kind of key has a server and a database of its
 * own. Every cost is a ratio of two measurements of one round. With `other`, its plain keys are measured, too.
 */
export async function restrictions({ other, tell, keys, sizes, warm, warmupMs, measureMs, rounds }) {
  tell('preparing the restrictions …')
  const most = sizes.at(-1)
  const plain = { name: 'plain keys', data: { keys } }
  const before = { name: 'plain keys, version before', data: { keys }, directory: other }
  const limited = { name: 'keys with a rate and a monthly limit', data: { keys, limited: true } }
  const once = { name: 'calls with a requestId', data: { keys }, operation: 'meterOnce' }
  const networks = {
    name: 'keys with ten networks, calls with clientIp',
    data: { keys, networks: true },
    operation: 'meterFromAddress',
  }
  const grown = { name: `plain keys, among ${count(most)}`, data: { keys: most, requestsPerKey: 1 } }
  const grownOnce = { ...once, name: `calls with a requestId, among ${count(most)}`, sharesServerOf: grown }
  const cases = [plain, ...(other ? [before] : []), limited, once, networks, grown]
  const servers = await startAll(cases)
  const measurements = [...cases, grownOnce].map((measured) => ({
    name: measured.name,
    run: (times = { warmupMs, measureMs }) => {
      const { name, operation = 'meter', sharesServerOf = measured } = measured
      return send(servers.get(sharesServerOf), { name, operation, keys, ...times })
    },
  }))
  if (warm) for (const { run } of measurements) await run({ warmupMs: 0, measureMs: warmMs })
  const lines = await interleave(measurements, rounds, tell)
  for (const server of servers.values()) await server.stop()
  const costs = [
    ...(other ? [costOf(lines, plain, before, 1.1)] : []),
    costOf(lines, limited, plain, 1.5),
    costOf(lines, once, plain, 1.6),
    costOf(lines, networks, plain, 1.5),
    costOf(lines, grown, plain),
    costOf(lines, grownOnce, once),
  ]
  const version = other ? `; the version before is ${resolve(other)}` : ''
  return {
    title: `Restrictions: uniform over ${count(keys)} keys, graphql-ws, 64 callers${version}`,
    lines,
    costs,
    grid: {
      head: ['cost of a call', 'time', 'server CPU', 'PostgreSQL CPU', 'CPU of both'],
      rows: costs.map(({ name, time, server, postgres, both }) => [
        name,
        ...[time, server, postgres, both].map(ratioText),
      ]),
    },
    checks: costs
      .filter(({ target }) => target)
      .map(({ name, time, target }) => check(`cost of a call: ${name}`, time.median, 'at most', target)),
  }
}

/** Starts and fills the server of each case; all are measured as black boxes, because the version before can only be. */
async function startAll(cases) {
  for (const { directory = thisCheckout } of cases) assertBuilt(directory)
  const started = cases.map(async ({ data, directory = thisCheckout }, index) => {
    const databaseUrl = await createDatabase(`restrictions_${index}`)
    const server = await startCheckout(directory, { databaseUrl })
    await fill(databaseUrl, data)
    const stop = async () => {
      await server.stop()
      await dropDatabase(databaseUrl)
    }
    return [cases[index], { ...server, stop }]
  })
  return new Map(await Promise.all(started))
}

/** @throws if a call was refused: that costs less than what is to be measured */
async function send({ url, gatewayToken: token, cpu, resetLog }, { name, operation, keys, ...times }) {
  const measured = await load({
    url,
    token,
    cpu,
    operation,
    keys,
    distribution: 'uniform',
    transport: 'websocket',
    callers: 64,
    ...times,
  })
  await resetLog()
  if (measured.refusedShare > 0) throw new Error(`Calls were refused: ${name}.`)
  return measured
}

/** What a call costs more than another, by the time that it takes at full load and by CPU time, round by round. */
function costOf(lines, { name }, { name: than }, target) {
  const roundsOf = (wanted) => lines.find((line) => line.name === wanted).rounds
  const ratio = (figure) =>
    spreadOf(roundsOf(name).map((round, index) => figure(round) / figure(roundsOf(than)[index])))
  return {
    name: `${name}, to ${than}`,
    target,
    time: ratio(({ callsPerSecond }) => 1 / callsPerSecond),
    server: ratio(({ serverCpuUs }) => serverCpuUs),
    postgres: ratio(({ postgresCpuUs }) => postgresCpuUs),
    both: ratio(({ serverCpuUs, postgresCpuUs }) => serverCpuUs + postgresCpuUs),
  }
}
