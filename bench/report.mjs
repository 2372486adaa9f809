import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { format } from './measure.mjs'

/** The machine that a figure belongs to. */
export function machine(database) {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node.js ${process.version}, ${database}`
}

/** A section as a table in plain text, which Markdown reads as well. */
export function table({ title, lines, checks = [] }) {
  const head = ['', 'calls/s', 'spread', 'p50 ms', 'p99 ms', 'load idle']
  const rows = lines.map((line) => [
    line.name,
    format(line.callsPerSecond),
    `${format(line.slowest)} – ${format(line.fastest)}`,
    format(line.p50Ms),
    format(line.p99Ms),
    line.loadIdleShare === undefined || Number.isNaN(line.loadIdleShare)
      ? '–'
      : `${Math.round(line.loadIdleShare * 100)}%`,
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const text = (row) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  const verdicts = checks.map(
    ({ what, value, floor, holds }) => `${holds ? 'reached' : 'MISSED '}  ${what}: ${value} (${floor})`,
  )
  return [
    `\n## ${title}\n`,
    ...(rows.length > 0 ? [text(head), rule, ...rows.map(text), ''] : []),
    ...verdicts,
  ].join('\n')
}

/** A floor that a figure has to reach: at least, or at most, so much. */
export function check(what, value, relation, floor, unit = '×') {
  // A ratio to what was not once measured is none.
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
  await writeFile(new URL('latest.svg', directory), chart(result))
}

/** Bars of calls a second on a logarithmic scale, for the first section. */
function chart({ sections, machine: where }) {
  const { lines } = sections[0]
  const [width, left, right, row, top] = [900, 360, 90, 30, 56]
  const most = Math.max(...lines.map(({ callsPerSecond }) => callsPerSecond))
  const least = Math.min(...lines.map(({ callsPerSecond }) => callsPerSecond)) / 2
  const length = (value) => (Math.log(value / least) / Math.log(most / least)) * (width - left - right)
  const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const bars = lines.map(({ name, callsPerSecond }, index) => {
    const y = top + index * row
    const ours = name.startsWith('Latchkey')
    return `<text x="${left - 8}" y="${y + 16}" text-anchor="end">${escaped(name)}</text>
<rect x="${left}" y="${y + 3}" width="${length(callsPerSecond).toFixed(1)}" height="18" rx="2" fill="${ours ? '#2563eb' : '#94a3b8'}"/>
<text x="${(left + length(callsPerSecond) + 6).toFixed(1)}" y="${y + 16}">${format(callsPerSecond)}</text>`
  })
  const height = top + lines.length * row + 34
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#0f172a" role="img">
<title>Calls a second of Latchkey and of what could be picked instead</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="16" y="26" font-size="16" font-weight="600">Calls a second, logarithmic scale</text>
${bars.join('\n')}
<text x="16" y="${height - 12}" font-size="11" fill="#475569">${escaped(where)}</text>
</svg>
`
}
