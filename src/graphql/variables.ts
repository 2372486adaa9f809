import { errorLimits, fixedLimits, operationLimits } from '../limits.ts'

/** Continues "The operation". */
export const tooManyValues = `has more than ${operationLimits.variableValues} values in its variables`

/** What a value adds to a message besides its text: brackets and separators. */
const lengthOfValue = 4

/** How an operation's variables may be checked. */
export interface VariablesCheck {
  /** Whether there are more values than `operationLimits.variableValues`. */
  isTooLarge: boolean
  /** The number of errors after which checking stops. */
  maxErrors: number
}

/**
 * Decides how variables may be checked, by counting their values and the characters of their texts and names. Counting
 * stops at the limit, so its work is bounded too. An error quotes the value that it is about, and each of a thousand
 * unknown fields quotes the whole object that they are in.
 */
export function checkFor(variables: Record<string, unknown> | null | undefined): VariablesCheck {
  const most = operationLimits.variableValues
  const pending: unknown[] = [variables]
  let values = 0
  let length = 0
  while (pending.length > 0) {
    const value = pending.pop()
    values++
    length += lengthOfValue
    if (typeof value === 'string') length += value.length
    else if (Array.isArray(value)) {
      if (value.length > most) return tooLarge
      for (const item of value) pending.push(item)
    } else if (typeof value === 'object' && value !== null) {
      for (const name in value) {
        length += name.length
        pending.push((value as Record<string, unknown>)[name])
      }
    }
    if (values + pending.length > most) return tooLarge
  }
  return values * length > fixedLimits.variablesWeight ? heavy : light
}

const [quote, backslash, comma, bracket, brace] = [...'"\\,[{'].map((sign) => sign.charCodeAt(0))

/**
 * Each value has a comma before it or is the first one in brackets, and brackets are values too. Some more belong to the
 * request around the variables.
 */
const mostSigns = 2 * operationLimits.variableValues + 100

/**
 * Whether a text of JSON has so many values that no operation with them is executed. Finding that out takes a few
 * milliseconds for a megabyte; parsing 300,000 objects, or one with 60,000 names, takes a hundred.
 */
export function hasTooManyValues(json: string): boolean {
  if (json.length <= mostSigns) return false
  let signs = 0
  for (let at = 0; at < json.length; at++) {
    const sign = json.charCodeAt(at)
    if (sign === quote) at = endOfText(json, at)
    else if ((sign === comma || sign === bracket || sign === brace) && ++signs > mostSigns) return true
  }
  return false
}

/** The place of the quote that ends the text which begins at `start`. */
function endOfText(json: string, start: number): number {
  let at = start + 1
  while (at < json.length && json.charCodeAt(at) !== quote) at += json.charCodeAt(at) === backslash ? 2 : 1
  return at
}

const tooLarge: VariablesCheck = { isTooLarge: true, maxErrors: 1 }
const heavy: VariablesCheck = { isTooLarge: false, maxErrors: 1 }
const light: VariablesCheck = { isTooLarge: false, maxErrors: errorLimits.errors }

/** Whether compiled code, which reports every error, may check these variables. */
export const mayReportEveryError = (check: VariablesCheck) => check === light
