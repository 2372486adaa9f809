import { formatMonth, formatNumber, formatShortMonth } from '../format.ts'
import { strings } from '../strings.ts'
import type { MonthOfCalls } from './csv.ts'

const width = 360
const height = 325
const top = 22
const bottom = 24
const gap = 8

/** Calls by month, oldest first. The table next to it is the accessible alternative. */
export function BarChart({ months }: { months: readonly MonthOfCalls[] }) {
  const most = months.reduce((most, month) => (month.calls > most.calls ? month : most), months[0] ?? none)
  const step = width / months.length
  const scale = (height - top - bottom) / (most.calls || 1)
  return (
    <svg className="chart" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={labelOf(months, most)}>
      <line className="chart-base" x1="0" x2={width} y1={height - bottom} y2={height - bottom} />
      {most.calls === 0 && (
        <text className="bar-month" x={width / 2} y={height / 2}>
          {strings.history.none}
        </text>
      )}
      {months.map(({ month, calls }, index) => {
        const x = index * step
        // A month with few calls must look different from one without any.
        const barHeight = calls > 0 ? Math.max(calls * scale, 2) : 0
        const barTop = height - bottom - barHeight
        return (
          <g key={month} className="bar" data-current={index === months.length - 1 || undefined}>
            <title>{`${formatMonth(month)}: ${formatNumber(calls)}`}</title>
            <rect className="bar-back" x={x} y="0" width={step} height={height - bottom} />
            <rect
              className="bar-fill"
              x={x + gap / 2}
              y={barTop}
              width={step - gap}
              height={barHeight}
              rx="3"
            />
            {calls > 0 && (
              <text className="bar-value" x={x + step / 2} y={barTop - 6}>
                {compact.format(calls)}
              </text>
            )}
            <text className="bar-month" x={x + step / 2} y={height - 8}>
              {formatShortMonth(month)}
            </text>
          </g>
        )
      })}
    </svg>
  )
}

const none: MonthOfCalls = { month: '', calls: 0 }
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })

function labelOf(months: readonly MonthOfCalls[], most: MonthOfCalls): string {
  const total = months.reduce((sum, { calls }) => sum + calls, 0)
  if (total === 0) return strings.history.chartEmpty
  return strings.history.chart(formatNumber(total), formatNumber(most.calls), formatMonth(most.month))
}
