import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { format } from './measure.mjs'

/** The machine that the figures belong to. */
export function machine(database) {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}, ${database}`
}

/** A section as tables in plain text that are Markdown, too. `grid`: one with columns of its own. */
export function table({ title, lines, grid, comparisons = [], checks = [] }) {
  const head = [
    '',
    'calls/s',
    'spread',
    'p50 ms',
    'p99 ms',
    'server CPU µs',
    'PostgreSQL CPU µs',
    'load idle',
  ]
  const rows = lines.map((line) => [
    line.name,
    format(line.callsPerSecond),
    `${format(line.slowest)} – ${format(line.fastest)}`,
    format(line.p50Ms),
    format(line.p99Ms),
    format(line.serverCpuUs),
    format(line.postgresCpuUs),
    line.loadIdleShare === undefined ? '–' : `${Math.round(line.loadIdleShare * 100)}%`,
  ])
  const verdicts = checks.map(
    ({ what, value, floor, holds }) => `${holds ? 'reached' : 'MISSED '}  ${what}: ${value} (${floor})`,
  )
  return [
    `\n## ${title}\n`,
    ...(rows.length > 0 ? [...markdown(head, rows), ''] : []),
    ...(grid ? [...markdown(grid.head, grid.rows), ''] : []),
    ...(comparisons.length > 0 ? [...ratios(comparisons), ''] : []),
    ...verdicts,
  ].join('\n')
}

function ratios(comparisons) {
  const head = ['new / old', 'calls/s', 'server CPU', 'PostgreSQL CPU', 'p99', 'delivery p99']
  return markdown(
    head,
    comparisons.map(({ name, callsPerSecond, serverCpuUs, postgresCpuUs, p99Ms, deliveryP99Ms }) => [
      name,
      ...[callsPerSecond, serverCpuUs, postgresCpuUs, p99Ms, deliveryP99Ms].map(ratioText),
    ]),
  )
}

/** The median of a ratio's rounds, with the least and the greatest. */
export function ratioText(ratio) {
  if (ratio === undefined) return '–'
  return `${ratio.median.toFixed(3)} × (${ratio.min.toFixed(2)} – ${ratio.max.toFixed(2)})`
}

/** The lines of a table whose first column is text and whose others are numbers. */
function markdown(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [head.map(pad), rule, ...rows.map((row) => row.map(pad))].map((row) => `| ${row.join(' | ')} |`)
}

/** Compares a figure with its target: `relation` is `at least` or `at most`. */
export function check(what, value, relation, floor, unit = '×') {
  // Without a measurement, the value is undefined or NaN.
  const holds = Number.isFinite(value) && (relation === 'at least' ? value >= floor : value <= floor)
  return {
    what,
    value: `${format(value)} ${unit}`.trim(),
    floor: `${relation} ${floor} ${unit}`.trim(),
    holds,
  }
}

/** Writes the figures as JSON and as a chart. */
export async function write(directory, result) {
  await mkdir(directory, { recursive: true })
  await writeFile(new URL('latest.json', directory), `${JSON.stringify(result, null, 2)}\n`)
  if (result.sections[0].lines.length > 0) await writeFile(new URL('latest.svg', directory), chart(result))
}

/** A bar chart of the first section's calls a second, on a logarithmic scale. */
function chart({ sections, machine: where }) {
  const { lines } = sections[0]
  const [width, left, right, row, top] = [900, 360, 90, 30, 56]
  const most = Math.max(...lines.map(({ callsPerSecond }) => callsPerSecond))
  const least = Math.min(...lines.map(({ callsPerSecond }) => callsPerSecond)) / 2
  const length = (value) => (Math.log(value / least) / Math.log(most / least)) * (width - left - right)
  const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const bars = lines.map(({ name, callsPerSecond }, index) => {
    const y = top + index * row
    const ours = /^(Latchkey|new)/.test(name)
    return `<text x="${left - 8}" y="${y + 16}" text-anchor="end">${escaped(name)}</text>
<rect x="${left}" y="${y + 3}" width="${length(callsPerSecond).toFixed(1)}" height="18" rx="2" fill="${ours ? '#2563eb' : '#94a3b8'}"/>
<text x="${(left + length(callsPerSecond) + 6).toFixed(1)}" y="${y + 16}">${format(callsPerSecond)}</text>`
  })
  const height = top + lines.length * row + 34
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#0f172a" role="img">
<title>Calls a second of Latchkey and of its alternatives</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="16" y="26" font-size="16" font-weight="600">Calls a second, logarithmic scale</text>
${bars.join('\n')}
<text x="16" y="${height - 12}" font-size="11" fill="#475569">${escaped(where)}</text>
</svg>
`
}
