import { createHistogram, performance } from 'node:perf_hooks'
import { cpuMeter } from './cpu.mjs'

/**
 * Runs `callers` loops of `call` for `measureMs` after a warm-up, and returns what was measured. `cpu` names the
 * processes whose CPU time per call is measured, too. It goes on for up to five times as long until there were
 * `leastCalls`: with few calls, garbage collection and compilation make up most of the CPU time.
 */
export async function run({ callers, warmupMs, measureMs, leastCalls = 0, cpu, before = () => {}, call }) {
  const latency = createHistogram()
  const meter = cpuMeter(cpu)
  let [calls, refused] = [0, 0]
  let measuring = false
  let running = true
  const loop = async (caller) => {
    while (running) {
      await before(caller)
      const startedAt = performance.now()
      const outcome = await call(caller)
      if (!measuring) continue
      latency.record(Math.max(1, Math.round((performance.now() - startedAt) * 1_000)))
      calls += outcome.calls
      refused += outcome.refused
    }
  }
  const loops = Array.from({ length: callers }, (_, caller) => loop(caller))
  await delay(warmupMs)
  meter.start()
  const busyBefore = performance.eventLoopUtilization()
  const startedAt = performance.now()
  measuring = true
  await delay(measureMs)
  for (let more = 0; more < 8 && calls < leastCalls; more++) await delay(measureMs / 2)
  measuring = false
  const seconds = (performance.now() - startedAt) / 1_000
  const { utilization } = performance.eventLoopUtilization(busyBefore)
  const { serverUs, postgresUs } = meter.stop()
  running = false
  await Promise.all(loops)
  return {
    callsPerSecond: calls / seconds,
    refusedShare: calls === 0 ? 0 : refused / calls,
    p50Ms: latency.percentile(50) / 1_000,
    p99Ms: latency.percentile(99) / 1_000,
    idleShare: 1 - utilization,
    ...cpuPerCall({ serverUs, postgresUs }, calls),
  }
}

/** As JSON: left out where it could not be measured. */
export function cpuPerCall({ serverUs, postgresUs }, calls) {
  const perCall = (us) => (us === undefined || calls === 0 ? undefined : us / calls)
  return { serverCpuUs: perCall(serverUs), postgresCpuUs: perCall(postgresUs) }
}

export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
