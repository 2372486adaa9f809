import { createHistogram, performance } from 'node:perf_hooks'

/** Runs `callers` loops of `call` for a while, after a warm-up, and tells what they met. */
export async function run({ callers, warmupMs, measureMs, before = () => {}, call }) {
  const latency = createHistogram()
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
  const busyBefore = performance.eventLoopUtilization()
  const startedAt = performance.now()
  measuring = true
  await delay(measureMs)
  measuring = false
  const seconds = (performance.now() - startedAt) / 1_000
  const { utilization } = performance.eventLoopUtilization(busyBefore)
  running = false
  await Promise.all(loops)
  return {
    callsPerSecond: calls / seconds,
    refusedShare: calls === 0 ? 0 : refused / calls,
    p50Ms: latency.percentile(50) / 1_000,
    p99Ms: latency.percentile(99) / 1_000,
    idleShare: 1 - utilization,
  }
}

export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
