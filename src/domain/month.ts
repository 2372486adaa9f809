/** A calendar month in UTC, as `YYYY-MM`. Months compare as strings. */
export type Month = `${number}-${number}`

const pattern = /^[12]\d{3}-(0[1-9]|1[0-2])$/

/** True for `YYYY-MM` from 1000-01 to 2999-12. */
export function isMonth(text: string): text is Month {
  return pattern.test(text)
}

/** The month of an instant. */
export function monthOf(instant: Date): Month {
  return instant.toISOString().slice(0, 7) as Month
}

/** 00:00:00 UTC on the month's 1st. */
export function firstInstantOf(month: Month): Date {
  return new Date(`${month}-01T00:00:00.000Z`)
}

/** The month `count` months after the given one, or before it if negative. */
export function addMonths(month: Month, count: number): Month {
  const instant = firstInstantOf(month)
  instant.setUTCMonth(instant.getUTCMonth() + count)
  return monthOf(instant)
}

/** When counting starts again at zero: the first instant of the next month. */
export function resetsAt(month: Month): Date {
  return firstInstantOf(addMonths(month, 1))
}
