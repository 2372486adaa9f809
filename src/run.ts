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
import type { Services } from './schema/context.ts'
import { DataDirInUseError, startEmbeddedDatabase } from './storage/embedded.ts'
import { NoConnectionError, SchemaError } from './storage/migrate.ts'
import { CatalogueFileError, UnknownDefaultPlanError } from './storage/seed.ts'
import { isUnavailable } from './storage/unavailable.ts'

/** sysexits.h: EX_CONFIG. */
const configExitCode = 78

/** Short, as real ones should be; the page fetches another before it ends. */
const clientAreaTokenLifetime = '15m'

/** What Node.js says of files and of the network. */
type SystemError = NodeJS.ErrnoException & { hostname?: string }

/**
 * Runs Latchkey with the settings of the environment until it is told to stop by a signal, and ends the process: with
 * 0 when it was told to, also where it had not finished starting, and else with a sentence and what sysexits.h or 1 say.
 */
export async function run(toldToStop: Promise<NodeJS.Signals>): Promise<void> {
  let config: Config | undefined
  try {
    config = readProcessConfig(developmentSecrets)
    await serve(config, createLogger(config.logLevel), toldToStop)
  } catch (error) {
    const { message, exitCode } = refusalOf(error, config)
    process.stderr.write(`${message}\n`)
    process.exit(exitCode)
  }
}

/** Starts, and stops when told to, at any time: a start that is under way is ended by stopping what it has made. */
async function serve(config: Config, log: Logger, toldToStop: Promise<NodeJS.Signals>): Promise<void> {
  if (await Promise.race([toldToStop, undefined])) end(log)
  // Production has no demo account, and tokens that are signed elsewhere cannot be handed out here.
  const demo = !config.production && config.auth.secret !== undefined
  const tokens = demo ? await demoTokens(config.auth) : undefined
  const explorer = tokens && ((services: Services) => demoExplorer(services, tokens))
  const demoToken = demo ? () => demoCustomerToken(config.auth, clientAreaTokenLifetime) : undefined
  const starting = start({ config, log, explorer, demoToken }).then(async (app) => {
    if (tokens) await seedDemoAccount(app.services)
    return app
  })
  const signal = await Promise.race([starting.then(() => undefined), toldToStop])
  if (signal === undefined) {
    const { url } = await starting
    if (tokens) printWelcome(url, config, tokens)
    else log.info({ url }, 'listening')
  }
  const endingSignal = await toldToStop
  log.info({ signal: endingSignal }, 'stopping')
  setTimeout(() => {
    log.warn('what had not ended in time was cut off')
    end(log)
  }, config.shutdownTimeoutMs)
  // Nobody has sent requests to a server that was not ready, and who presses Ctrl+C does not want to wait.
  const delayMs = signal === undefined && endingSignal === 'SIGTERM' ? config.shutdownDelayMs : 0
  await (await starting).stop({ delayMs })
  end(log)
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

function end(log: Logger): never {
  log.flush()
  process.exit(0)
}

function printWelcome(url: string, config: Config, tokens: Awaited<ReturnType<typeof demoTokens>>): void {
  process.stdout.write(`
Latchkey is running at ${url}

${config.clientArea ? `  API Keys   ${url}/ in a browser: the page that customers see\n` : ''}  GraphQL    ${url}/graphql (queries, mutations, SSE), ${url.replace('http', 'ws')}/graphql (WebSocket)
  GraphiQL   ${url}/graphql in a browser
  Database   ${config.databaseUrl ? 'the server in DATABASE_URL' : `embedded, in ${config.dataDir}`}

  Tokens for the demo account, good for 30 days:
  customer   ${tokens.customer}
  gateway    ${tokens.gateway}
  operator   ${tokens.operator}

`)
}

/** What a start that failed is ended with: for whoever runs the server, without a stack where the reason is known. */
export function refusalOf(error: unknown, config: Config | undefined): { message: string; exitCode: number } {
  if (
    error instanceof ConfigError ||
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
    return `Port ${port} on ${host} is in use. Stop what uses it, or set PORT to another one.`
  if (syscall === 'listen' || (syscall === 'getaddrinfo' && hostname === host))
    return `Latchkey cannot listen on ${host}, port ${port}: ${message}`
  if (databaseUrl && (error instanceof NoConnectionError || isUnavailable(error)))
    return `The database in DATABASE_URL cannot be reached: ${message}`
  if (!databaseUrl && dataDir && path?.startsWith(dataDir))
    return `The data directory ${dataDir} cannot be used: ${message}`
  return `Latchkey could not start. ${stack ?? message ?? error}`
}
