import { MeterApiCall } from '../../support/operations.ts'
import { openRawConnection } from '../../support/websocket.ts'
import type { LoadedServer } from './overload-server.ts'

/** What somebody sees of a server while others put load on it. */
export interface Observations {
  /** Calls of a gateway that waits for each answer, on a WebSocket of its own: how often each code was answered. */
  codes: { ADMITTED?: number; OVERLOADED?: number }
  callsMs: number[]
  /** How long `/health` took; Infinity where it was not answered with 200. */
  healthMs: number[]
  /** Megabytes of memory, sampled at regular intervals. */
  residentMb: number[]
}

/** Between two questions, so that the observer adds no load of its own. */
const pauseMs = 50

/** Observes a server until `work` is done. */
export async function observeDuring<Report>(
  server: LoadedServer,
  secret: string,
  work: Promise<Report>,
): Promise<{ report: Report; seen: Observations }> {
  const seen: Observations = { codes: {}, callsMs: [], healthMs: [], residentMb: [] }
  let working = true
  const end = work.finally(() => {
    working = false
  })
  const repeat = async (task: () => Promise<void>) => {
    while (working) {
      await task()
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  const connection = await (await openRawConnection(server)).init(server.gatewayToken)
  let calls = 0
  const meter = async () => {
    const id = String(++calls)
    const startedAt = performance.now()
    const payload = { query: String(MeterApiCall), variables: { secret, apiCall: 'v3.ping' } }
    connection.send({ id, type: 'subscribe', payload })
    const answer = await connection.next()
    if (answer?.type === 'next') await connection.next()
    const code = (/"code":"(\w+)"/.exec(JSON.stringify(answer))?.[1] ?? 'none') as 'ADMITTED'
    seen.codes[code] = (seen.codes[code] ?? 0) + 1
    seen.callsMs.push(performance.now() - startedAt)
  }
  const askHealth = async () => {
    const startedAt = performance.now()
    const { ok } = await fetch(`${server.url}/health`).catch(() => ({ ok: false }))
    seen.healthMs.push(ok ? performance.now() - startedAt : Number.POSITIVE_INFINITY)
    seen.residentMb.push(server.residentMb())
  }
  const [report] = await Promise.all([end, repeat(meter), repeat(askHealth)])
  connection.socket.terminate()
  return { report, seen }
}

export function percentile(numbers: readonly number[], percent: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN
}
