import { type DestinationStream, type Logger, pino } from 'pino'
import { secretPattern } from './domain/secret.ts'

export type { Logger } from 'pino'
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** A JWT or a JWE: three or five parts in base64url, the first of them JSON. */
const tokenPattern = /eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2,4}/g

/** What JSON writes for a newline, for instance. Its letter does not belong to a secret that follows it. */
const jsonEscape = /\\(?:u[0-9a-f]{4}|.)/

const sensitive = new RegExp(
  `${jsonEscape.source}|(?<secret>${secretPattern.source})|(?<token>${tokenPattern.source})`,
  'g',
)

/** Takes API keys and tokens out of a line of JSON, wherever in it they stand; it remains JSON. */
export function redact(line: string): string {
  // Every secret and every token has one of these in it, and hardly any line does.
  if (!line.includes('_') && !line.includes('eyJ')) return line
  return line.replace(sensitive, (found, ...rest) => {
    const { secret, token } = rest.at(-1) as { secret?: string; token?: string }
    return secret ? '[secret]' : token ? '[token]' : found
  })
}

let [stampedAt, stamp] = [0, '']

/** The time as pino takes it, RFC 3339. Many lines are of one millisecond. */
function timestamp(): string {
  const now = Date.now()
  if (now !== stampedAt) [stampedAt, stamp] = [now, `,"time":"${new Date(now).toISOString()}"`]
  return stamp
}

/** Lines are written together, when there are this many bytes of them and at the latest after this long. */
const buffering = { minLength: 8_192, periodicFlush: 200 }

/**
 * JSON lines on standard output (or to `destination`), with secrets and tokens taken out of every line. What is
 * still buffered when the process exits is written then; a process that is killed takes it along.
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp,
    hooks: { streamWrite: redact },
  }
  return pino(options, destination ?? pino.destination({ sync: false, ...buffering }))
}
