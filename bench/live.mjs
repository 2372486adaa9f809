import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startContender } from './contenders/process.mjs'
import { load, summaryOf } from './measure.mjs'
import { check } from './report.mjs'
import { startLatchkey } from './sections.mjs'

const subscribersFile = fileURLToPath(new URL('./load/subscribers.mjs', import.meta.url))
const query =
  'subscription { liveUsage { month snapshot account { calls } apiKeys { apiKeyId calls lastCallAt } } }'
const callsPerSecond = 1_000

/** Live counts: many subscribers on one server, while calls are metered over their keys. */
export async function live({ subscribers, measureMs, tell }) {
  const lines = []
  const checks = []
  for (const count of subscribers) {
    for (const kind of ['Latchkey', 'plain createPubSub']) {
      const { line, bytesEach, cpuShare, frames } = await watched(kind, count, measureMs)
      const name = `${kind}, ${count.toLocaleString('en-US')} subscribers`
      tell(
        `  ${name.padEnd(40)} delivery p99 ${line.deliveryP99Ms} ms, ${Math.round(bytesEach / 1_024)} KB and ${((cpuShare / count) * 1e6).toFixed(1)} µs/s of CPU each, ${frames} frames/s`,
      )
      lines.push({ name, ...line, bytesEach, cpuShare, framesPerSecond: frames })
      if (kind === 'Latchkey' && count === Math.max(...subscribers))
        checks.push(
          check(
            `delivery p99 with ${count.toLocaleString('en-US')} subscribers`,
            line.deliveryP99Ms,
            'at most',
            1_000,
            'ms',
          ),
          check('memory of each subscriber', bytesEach / 1_024, 'at most', 40, 'KB'),
          check('p99 of the calls metered meanwhile', line.p99Ms, 'at most', 50, 'ms'),
        )
    }
  }
  return {
    title: `Live counts while ${callsPerSecond.toLocaleString('en-US')} calls a second are metered (rates and latencies are the metered calls')`,
    lines,
    checks,
  }
}

async function watched(kind, count, measureMs) {
  const accounts = Math.min(count, 1_000)
  const keys = accounts * 10
  const server =
    kind === 'Latchkey'
      ? await startLatchkey('live', { keys })
      : await startContender('./pubsub.mjs', { accounts })
  const tokens = []
  for (let account = 0; account < accounts; account++)
    tokens.push(await server.ask({ kind: 'token', scopes: ['keys:read'], account: `account-${account}` }))
  const before = await server.ask({ kind: 'usage', collect: true })
  const child = fork(subscribersFile, [JSON.stringify({ url: server.url, query })], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.send({ tokens: Array.from({ length: count }, (_, i) => tokens[i % accounts]) })
  await once(child, 'message')
  const idle = await server.ask({ kind: 'usage', collect: true })
  child.send('record')
  const metered = await load({
    url: server.url,
    token: server.gatewayToken,
    keys,
    distribution: 'uniform',
    warmupMs: 1_000,
    measureMs,
    transport: 'websocket',
    operation: 'meter',
    callers: 32,
    callsPerSecond,
  })
  const after = await server.ask({ kind: 'usage' })
  child.send('report')
  const [report] = await once(child, 'message')
  child.kill()
  await server.stop()
  const seconds = (after.at - idle.at) / 1_000
  return {
    line: { ...summaryOf([metered]), deliveryP50Ms: report.p50Ms, deliveryP99Ms: report.p99Ms },
    bytesEach: (idle.memory.rss - before.memory.rss) / count,
    cpuShare: (after.cpu.user + after.cpu.system - idle.cpu.user - idle.cpu.system) / 1e6 / seconds,
    frames: Math.round(report.events / seconds),
  }
}
