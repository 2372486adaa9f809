import { type DestinationStream, type Logger, pino } from 'pino'
import { secretPattern } from './domain/secret.ts'

export type { Logger } from 'pino'
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** A JWT or a JWE: three or five parts in base64url, the first of them JSON. */
const tokenPattern = /eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2,4}/g

/** A JSON escape such as \n. Matched so that its letter is not taken for the start of a secret that follows it. */
const jsonEscape = /\\(?:u[0-9a-f]{4}|.)/

const sensitive = new RegExp(
  `${jsonEscape.source}|(?<secret>${secretPattern.source})|(?<token>${tokenPattern.source})`,
  'g',
)

/** Replaces API keys and tokens anywhere in a line of JSON, which stays valid JSON. */
export function redact(line: string): string {
  // Every secret and every token contains one of these, and hardly any line does.
  if (!line.includes('_') && !line.includes('eyJ')) return line
  return line.replace(sensitive, (found, ...rest) => {
    const { secret, token } = rest.at(-1) as { secret?: string; token?: string }
    return secret ? '[secret]' : token ? '[token]' : found
  })
}

type FlushableStream = DestinationStream & Partial<Pick<ReturnType<typeof pino.destination>, 'flush'>>

/**
 * Redacts every line on its way to `destination`. A second line of defence: no code may log a secret in the first
 * place, which the tests check on the lines before redaction.
 */
export function redacting(destination: FlushableStream): FlushableStream {
  return {
    write: (line) => destination.write(redact(line)),
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

/**
 * Standard output. Lines are buffered up to 8 KiB or 200 ms. The buffer is written when the process exits, and lost
 * when it is killed.
 */
const standardOutput = () => pino.destination({ sync: false, minLength: 8_192, periodicFlush: 200 })

/** A logger that writes lines of JSON, by default redacted, to standard output. */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = redacting(standardOutput()),
): Logger {
  return pino({ level, base: null, timestamp: createTimestamp() }, destination)
}
