import process from 'node:process'
import { type DestinationStream, type Logger, pino } from 'pino'
import { secretPattern } from './domain/secret.ts'
import { fixedLimits } from './limits.ts'
import { LogOutput } from './log-output.ts'

export type { Logger } from 'pino'
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** A JSON escape such as \n. Matched so that its letter is not taken for the start of a secret that follows it. */
const jsonEscape = /\\(?:u[0-9a-f]{4}|.)/

/** Every character that a secret or a token may have, as long as they last: each is read once. */
const words = new RegExp(`${jsonEscape.source}|[A-Za-z0-9_.-]+`, 'g')

/** Replaces API keys and tokens anywhere in a line of JSON, which stays valid JSON. Takes linear time. */
export function redact(line: string): string {
  // Every secret and every token contains one of these, and hardly any line does.
  if (!line.includes('_') && !line.includes('eyJ')) return line
  return line.replace(words, (word) =>
    word.startsWith('\\') ? word : withoutToken(word).replace(secretPattern, '[secret]'),
  )
}

/** Replaces a JWT or a JWE: parts in base64url, of which the first is JSON, joined by two dots or more. */
function withoutToken(word: string): string {
  const start = word.indexOf('eyJ')
  if (start === -1) return word
  const firstDot = word.indexOf('.', start)
  const isToken = firstDot !== -1 && word.includes('.', firstDot + 1)
  return isToken ? `${word.slice(0, start)}[token]` : word
}

const { logLineLength, loggedTextLength, loggedItems } = fixedLimits

/**
 * A line of JSON within `logLineLength`. Callers and dependencies decide how long some texts are, so the texts and lists
 * of a longer line are cut, and a line that is still too long keeps only what says when and what.
 */
export function bounded(line: string): string {
  if (line.length <= logLineLength) return line
  const { level, time, msg, ...rest } = cut(JSON.parse(line)) as Record<string, unknown>
  const shortened = JSON.stringify({ level, time, ...rest, msg })
  if (shortened.length < logLineLength) return `${shortened}\n`
  return `${JSON.stringify({ level, time, msg, omitted: line.length })}\n`
}

function cut(value: unknown): unknown {
  if (typeof value === 'string')
    return value.length > loggedTextLength ? `${value.slice(0, loggedTextLength)}…` : value
  if (Array.isArray(value)) return value.slice(0, loggedItems).map(cut)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).slice(0, loggedItems)
  return Object.fromEntries(entries.map(([name, each]) => [name.slice(0, loggedTextLength), cut(each)]))
}

type FlushableStream = DestinationStream & { flush?(callback?: () => void): void }

/**
 * Bounds and redacts every line on its way to `destination`. Redaction is a second line of defence: no code may log a
 * secret in the first place, which the tests check on the lines before redaction.
 */
export function redacting(destination: FlushableStream): FlushableStream {
  return {
    write: (line) => destination.write(redact(bounded(line))),
    flush: (callback) => (destination.flush ? destination.flush(callback) : callback?.()),
  }
}

/** Returns the time in RFC 3339, as a fragment for pino. Formatted once a millisecond, which many lines share. */
function createTimestamp(): () => string {
  let [stampedAt, stamp] = [0, '']
  return () => {
    const now = Date.now()
    if (now !== stampedAt) [stampedAt, stamp] = [now, `,"time":"${new Date(now).toISOString()}"`]
    return stamp
  }
}

/** Standard output. What is gathered is written when the process exits, and lost when it is killed. */
function standardOutput(): LogOutput {
  // Node.js makes a pipe non-blocking when it opens its stream.
  const { fd } = process.stdout
  return new LogOutput(fd)
}

/** A logger that writes lines of JSON, by default redacted, to standard output. */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = redacting(standardOutput()),
): Logger {
  return pino({ level, base: null, timestamp: createTimestamp() }, destination)
}
