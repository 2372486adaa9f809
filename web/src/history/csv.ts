import { strings } from '../strings.ts'

export interface MonthOfCalls {
  /** YYYY-MM */
  month: string
  calls: number
}

/** A table for spreadsheets (RFC 4180), oldest month first. */
export function csvOf(months: readonly MonthOfCalls[]): string {
  const rows = months.toReversed().map(({ month, calls }) => `${month},${calls}`)
  return `${[strings.history.csvHeader, ...rows].join('\r\n')}\r\n`
}

export function downloadCsv(file: string, months: readonly MonthOfCalls[]): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([csvOf(months)], { type: 'text/csv;charset=utf-8' }))
  link.download = file
  link.click()
  URL.revokeObjectURL(link.href)
}
