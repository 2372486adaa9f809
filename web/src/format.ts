import { strings } from './strings.ts'

// Formats numbers and dates for the browser's locale.

const numbers = new Intl.NumberFormat()
const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })
const instants = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const utcInstants = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'long',
  hour: '2-digit',
  minute: '2-digit',
  timeZone: 'UTC',
  timeZoneName: 'short',
})
const months = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'long', timeZone: 'UTC' })
const shortMonths = new Intl.DateTimeFormat(undefined, { month: 'short', timeZone: 'UTC' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

export const formatNumber = (value: number): string => numbers.format(value)
/** The day, in the visitor's time zone. */
export const formatDay = (instant: string): string => days.format(new Date(instant))
/** Day and time, in the visitor's time zone. */
export const formatInstant = (instant: string): string => instants.format(new Date(instant))
/** Day and time in UTC, including the name of the time zone. */
export const formatUtc = (instant: string): string => utcInstants.format(new Date(instant))

/** @param month YYYY-MM, a month in UTC */
export const formatMonth = (month: string): string => months.format(new Date(`${month}-01T00:00:00Z`))
export const formatShortMonth = (month: string): string =>
  shortMonths.format(new Date(`${month}-01T00:00:00Z`))

/** The last `count` months that end with this one, newest first. */
export function monthsUpTo(month: string, count: number): string[] {
  const [year = 0, number = 0] = month.split('-').map(Number)
  return Array.from({ length: count }, (_, ago) =>
    new Date(Date.UTC(year, number - 1 - ago, 1)).toISOString().slice(0, 7),
  )
}

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** "2 minutes ago": how long before `nowMs` an instant was. */
export function formatAgo(instant: string, nowMs: number): string {
  const seconds = Math.max(0, (nowMs - Date.parse(instant)) / 1_000)
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? ['second', 1]
  return relative.format(-Math.floor(seconds / length), unit)
}

/** The name of a key within a sentence. */
export const nameOf = ({ note, start }: { note?: string | null | undefined; start: string }): string =>
  note ? strings.list.named(note, start) : strings.list.unnamed(start)
