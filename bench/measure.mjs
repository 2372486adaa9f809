import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const loadFile = fileURLToPath(new URL('./load/load.mjs', import.meta.url))

/** Runs the load generator once, in a process of its own, and returns what it measured. */
export async function load(order) {
  const child = spawn(process.execPath, [loadFile], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(order))
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (code !== 0) throw new Error(`The load generator ended with ${code}.`)
  return JSON.parse(output)
}

/**
 * Measures each line (`{ name, run }`) once per round, in the opposite order in every second one, so that whatever else
 * the machine does affects all of them alike. Returns each line with its rounds and their medians.
 */
export async function interleave(lines, rounds, tell) {
  const results = new Map(lines.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const { name, run } of round % 2 === 0 ? lines.toReversed() : lines) {
      const result = await run()
      results.get(name).push(result)
      tell(progressOf(round, name, result))
    }
  }
  return lines.map(({ name }) => ({ name, ...summaryOf(results.get(name)) }))
}

export function progressOf(round, name, { callsPerSecond, p99Ms, serverCpuUs, postgresCpuUs }) {
  const rate = `${format(callsPerSecond).padStart(8)} /s   p99 ${format(p99Ms).padStart(5)} ms`
  const cpu = `CPU per call ${format(serverCpuUs).padStart(5)} + ${format(postgresCpuUs).padStart(5)} µs`
  return `  round ${round}  ${name.padEnd(52)} ${rate}   ${cpu}`
}

const figures = [
  'callsPerSecond',
  'p50Ms',
  'p99Ms',
  'serverCpuUs',
  'postgresCpuUs',
  'refusedShare',
  'deliveryP50Ms',
  'deliveryP99Ms',
]

/** The median of each figure over the rounds; a figure that no round has is left out. */
export function summaryOf(rounds) {
  const valuesOf = (figure) => rounds.map((round) => round[figure]).filter((value) => value !== undefined)
  const medians = figures.map((figure) => [figure, median(valuesOf(figure))])
  const rates = valuesOf('callsPerSecond')
  return {
    ...Object.fromEntries(medians.filter(([, value]) => value !== undefined)),
    slowest: Math.min(...rates),
    fastest: Math.max(...rates),
    loadIdleShare: median(valuesOf('idleShare')),
    rounds,
  }
}

/** Their median, the least and the greatest; undefined if one could not be measured. */
export function spreadOf(values) {
  if (!values.every(Number.isFinite)) return undefined
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Undefined without values. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 || sorted.length === 0
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2
}

/** A number with three significant digits. */
export function format(value) {
  if (value === undefined || Number.isNaN(value)) return '–'
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}
