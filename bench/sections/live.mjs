import { startContender } from '../contenders/process.mjs'
import { startLatchkey } from '../latchkey.mjs'
import { summaryOf } from '../measure.mjs'
import { check } from '../report.mjs'
import { meterForSubscribers, openSubscribers, watchedCallsPerSecond } from '../subscribers.mjs'

/** Live counts: many subscribers on one server, while calls are metered with their keys. */
export async function live({ subscribers, measureMs, tell }) {
  const lines = []
  for (const count of subscribers) {
    for (const kind of ['Latchkey', 'plain createPubSub']) {
      const line = await watched(kind, count, measureMs)
      const name = `${kind}, ${count.toLocaleString('en-US')} subscribers`
      const each = `${Math.round(line.bytesEach / 1_024)} KB and ${((line.cpuShare / count) * 1e6).toFixed(1)} µs/s of CPU each`
      tell(
        `  ${name.padEnd(40)} delivery p99 ${line.deliveryP99Ms} ms, ${each}, ${Math.round(line.framesPerSecond)} frames/s`,
      )
      lines.push({ name, ...line })
    }
  }
  return {
    title: `Live counts while ${watchedCallsPerSecond.toLocaleString('en-US')} calls a second are metered (rates, latencies and CPU per call are those of the metered calls)`,
    lines,
    checks: checksOf(lines, Math.max(...subscribers).toLocaleString('en-US')),
  }
}

function checksOf(lines, most) {
  const line = lines.find(({ name }) => name === `Latchkey, ${most} subscribers`)
  return [
    check(`delivery p99 with ${most} subscribers`, line.deliveryP99Ms, 'at most', 1_000, 'ms'),
    check('memory of each subscriber', line.bytesEach / 1_024, 'at most', 40, 'KB'),
    check('p99 of the calls metered meanwhile', line.p99Ms, 'at most', 50, 'ms'),
  ]
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
  const watchers = await openSubscribers(
    server.url,
    Array.from({ length: count }, (_, i) => tokens[i % accounts]),
  )
  const idle = await server.ask({ kind: 'usage', collect: true })
  watchers.record()
  const { url, gatewayToken: token, cpu } = server
  const metered = await meterForSubscribers({ url, token, cpu, keys, warmupMs: 1_000, measureMs })
  const after = await server.ask({ kind: 'usage' })
  const report = await watchers.report()
  await watchers.close()
  await server.stop()
  const cpuUs = after.cpu.user + after.cpu.system - idle.cpu.user - idle.cpu.system
  return {
    ...summaryOf([{ ...metered, ...report }]),
    framesPerSecond: report.framesPerSecond,
    bytesEach: (idle.memory.rss - before.memory.rss) / count,
    cpuShare: cpuUs / 1_000 / (after.at - idle.at),
  }
}
