import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const loadFile = fileURLToPath(new URL('./load/load.mjs', import.meta.url))

/** Has the load generator carry out one order, in a process of its own. */
export async function load(order) {
  const child = spawn(process.execPath, [loadFile, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`The load generator ended with ${code}.`)
  return JSON.parse(output)
}

/**
 * Measures every line in turn, round after round, so that what else the machine does falls on all alike. A line
 * is `{ name, run }`. Returns each with its rounds and with medians.
 */
export async function interleave(lines, rounds, tell) {
  const results = new Map(lines.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const { name, run } of lines) {
      const result = await run()
      results.get(name).push(result)
      tell(
        `  round ${round}  ${name.padEnd(58)} ${format(result.callsPerSecond).padStart(8)} /s   p99 ${format(result.p99Ms)} ms`,
      )
    }
  }
  return lines.map(({ name }) => ({ name, ...summaryOf(results.get(name)) }))
}

export function summaryOf(rounds) {
  const of = (pick) => median(rounds.map(pick).filter((value) => value !== undefined))
  const rates = rounds.map(({ callsPerSecond }) => callsPerSecond)
  return {
    callsPerSecond: of((round) => round.callsPerSecond),
    slowest: Math.min(...rates),
    fastest: Math.max(...rates),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    loadIdleShare: of((round) => round.idleShare),
    refusedShare: of((round) => round.refusedShare),
    rounds,
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** A number to read: three digits that mean something. */
export function format(value) {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}
