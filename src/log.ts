import { type DestinationStream, type Logger, pino } from 'pino'
import { secretPattern } from './domain/secret.ts'

export type { Logger } from 'pino'
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** A JWT or a JWE: three or five parts in base64url, the first of them JSON. */
const tokenPattern = /eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2,4}/g

/** Takes API keys and tokens out of a text, wherever in it they stand. */
export function redact(text: string): string {
  return text.replace(secretPattern, '[secret]').replace(tokenPattern, '[token]')
}

/** JSON lines on standard output (or to `destination`), with secrets and tokens taken out of every line. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: redact },
  }
  return destination ? pino(options, destination) : pino(options)
}
