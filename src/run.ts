import process from 'node:process'
import type { App, AppOptions } from './app.ts'
import { type Config, ConfigError, readProcessConfig } from './config.ts'
import {
  demoCustomerToken,
  demoExplorer,
  demoTokens,
  developmentSecrets,
  seedDemoAccount,
} from './development.ts'
import { createLogger, type Logger } from './log.ts'
import type { Services } from './services.ts'
import { DataDirInUseError, startEmbeddedDatabase } from './storage/embedded.ts'
import { NoConnectionError, SchemaError } from './storage/migrate.ts'
import { SharedSessionsError } from './storage/pooler.ts'
import { CatalogueFileError, UnknownDefaultPlanError } from './storage/seed.ts'
import { isUnavailable } from './storage/unavailable.ts'

/** sysexits.h: EX_CONFIG. */
const configExitCode = 78

/** Short, as in production; the page fetches another token before this one expires. */
const clientAreaTokenLifetime = '15m'

/** A file or network error of Node.js. */
type SystemError = NodeJS.ErrnoException & { hostname?: string }

/**
 * Runs Latchkey with the settings in the environment until a signal arrives, then exits with code 0, even if it was still
 * starting. If the start fails, it prints why and exits with code 78 (configuration) or 1.
 */
export async function run(stopSignal: Promise<NodeJS.Signals>): Promise<void> {
  let config: Config | undefined
  try {
    config = readProcessConfig(developmentSecrets)
    await serve(config, createLogger(config.logLevel), stopSignal)
  } catch (error) {
    const { message, exitCode } = refusalOf(error, config)
    process.stderr.write(`${message}\n`)
    process.exit(exitCode)
  }
}

/** Starts, and stops on the signal. A signal during the start takes effect once the start has finished. */
async function serve(config: Config, log: Logger, stopSignal: Promise<NodeJS.Signals>): Promise<void> {
  if (await Promise.race([stopSignal, undefined])) await end(log)
  // There is no demo account in production, or if tokens are signed elsewhere.
  const demo = !config.production && config.auth.secret !== undefined
  const tokens = demo ? await demoTokens(config.auth) : undefined
  const explorer = tokens && ((services: Services) => demoExplorer(services, tokens))
  const demoToken = demo ? () => demoCustomerToken(config.auth, clientAreaTokenLifetime) : undefined
  const starting = start({ config, log, explorer, demoToken }).then(async (app) => {
    if (tokens) await seedDemoAccount(app.services)
    return app
  })
  const signal = await Promise.race([starting.then(() => undefined), stopSignal])
  if (signal === undefined) {
    const { url } = await starting
    if (tokens) printWelcome(url, config, tokens)
    else log.info({ url }, 'listening')
  }
  const endingSignal = await stopSignal
  log.info({ signal: endingSignal }, 'stopping')
  setTimeout(() => {
    log.warn('shutdown timed out: cut off what was left')
    void end(log)
  }, config.shutdownTimeoutMs)
  // No delay if the server was never ready, because it has no clients, or on Ctrl+C, because someone is waiting.
  const delayMs = signal === undefined && endingSignal === 'SIGTERM' ? config.shutdownDelayMs : 0
  await (await starting).stop({ delayMs })
  await end(log)
}

/** Loads the server while the embedded database starts in its thread: each takes about half a second. */
async function start(options: AppOptions): Promise<App> {
  const { databaseUrl, dataDir } = options.config
  const embedded = databaseUrl === undefined ? startEmbeddedDatabase(dataDir) : undefined
  // If it fails, createApp reports it.
  embedded?.catch(() => {})
  const { createApp } = await import('./app.ts')
  return await createApp({ ...options, embedded })
}

/** How long the log may take to be written before the process exits. */
const lastLinesMs = 500

async function end(log: Logger): Promise<never> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, lastLinesMs)
    log.flush(() => resolve())
  })
  process.exit(0)
}

function printWelcome(url: string, config: Config, tokens: Awaited<ReturnType<typeof demoTokens>>): void {
  process.stdout.write(`
Latchkey is running at ${url}

${config.clientArea ? `  API Keys   ${url}/ in a browser: the page your customers see\n` : ''}  GraphQL    ${url}/graphql (queries, mutations, SSE), ${url.replace('http', 'ws')}/graphql (WebSocket)
  GraphiQL   ${url}/graphql in a browser
  Database   ${config.databaseUrl ? 'the server in DATABASE_URL' : `embedded, in ${config.dataDir}`}

  Tokens for trying it out, valid for 30 days:
  customer   ${tokens.customer}
  gateway    ${tokens.gateway}
  operator   ${tokens.operator}

`)
}

/** The message and exit code for a failed start. There is a stack trace only if the reason is unknown. */
export function refusalOf(error: unknown, config: Config | undefined): { message: string; exitCode: number } {
  if (
    error instanceof ConfigError ||
    error instanceof SharedSessionsError ||
    error instanceof UnknownDefaultPlanError ||
    error instanceof CatalogueFileError
  )
    return { message: error.message, exitCode: configExitCode }
  if (error instanceof DataDirInUseError || error instanceof SchemaError)
    return { message: error.message, exitCode: 1 }
  return { message: failureOf(error as SystemError, config), exitCode: 1 }
}

function failureOf(error: SystemError, config: Config | undefined): string {
  const { message, stack, code, syscall, path, hostname } = error
  const { host, port, databaseUrl, dataDir } = config ?? {}
  if (code === 'EADDRINUSE')
    return `Port ${port} on ${host} is in use. Stop the process that uses it, or set PORT to another port.`
  if (syscall === 'listen' || (syscall === 'getaddrinfo' && hostname === host))
    return `Latchkey cannot listen on ${host}, port ${port}: ${message}`
  if (databaseUrl && (error instanceof NoConnectionError || isUnavailable(error)))
    return `The database in DATABASE_URL cannot be reached: ${message}`
  if (!databaseUrl && dataDir && path?.startsWith(dataDir))
    return `The data directory ${dataDir} cannot be used: ${message}`
  return `Latchkey could not start. ${stack ?? message ?? error}`
}
