import process from 'node:process'
import { type App, createApp, UnknownDefaultPlanError } from './app.ts'
import { type Config, ConfigError, readProcessConfig } from './config.ts'
import { demoExplorer, demoTokens, developmentSecrets, seedDemoAccount } from './development.ts'
import { createLogger, type Logger } from './log.ts'
import type { Services } from './schema/context.ts'
import { DataDirInUseError } from './storage/embedded.ts'
import { isUnavailable } from './storage/unavailable.ts'

/** sysexits.h: EX_CONFIG. */
const configExitCode = 78

/** PostgreSQL's classes of SQLSTATE for a user who may not in, and for a database that there is not. */
const refusesConnection = /^(28|3D)...$/

await main()

async function main(): Promise<void> {
  let config: Config
  try {
    config = readProcessConfig(developmentSecrets)
  } catch (error) {
    if (error instanceof ConfigError) refuse(error.message, configExitCode)
    throw error
  }
  const log = createLogger(config.logLevel)
  try {
    await start(config, log)
  } catch (error) {
    refuseToStart(error, config)
  }
}

async function start(config: Config, log: Logger): Promise<void> {
  // Production has no demo account, and tokens that are signed elsewhere cannot be handed out here.
  const demo = !config.production && config.auth.secret !== undefined
  const tokens = demo ? await demoTokens(config.auth) : undefined
  const explorer = tokens && ((services: Services) => demoExplorer(services, tokens))
  const app = await createApp({ config, log, explorer })
  stopOnSignal(app, log)
  if (tokens) {
    await seedDemoAccount(app.services)
    printWelcome(app.url, config, tokens)
  } else {
    log.info({ url: app.url }, 'listening')
  }
}

function stopOnSignal(app: App, log: Logger): void {
  let stopping = false
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'stopping')
    await app.stop()
    log.flush()
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

function printWelcome(url: string, config: Config, tokens: Awaited<ReturnType<typeof demoTokens>>): void {
  process.stdout.write(`
Latchkey is running at ${url}

  GraphQL    ${url}/graphql (queries, mutations, SSE), ${url.replace('http', 'ws')}/graphql (WebSocket)
  GraphiQL   ${url}/graphql in a browser
  Database   ${config.databaseUrl ? 'the server in DATABASE_URL' : `embedded, in ${config.dataDir}`}

  Tokens for the demo account, good for 30 days:
  customer   ${tokens.customer}
  gateway    ${tokens.gateway}
  operator   ${tokens.operator}

`)
}

function refuseToStart(error: unknown, { host, port, databaseUrl }: Config): void {
  if (error instanceof DataDirInUseError) refuse(error.message, 1)
  if (error instanceof UnknownDefaultPlanError) refuse(error.message, configExitCode)
  const { code = '', syscall, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    refuse(`Port ${port} on ${host} is in use. Stop what uses it, or set PORT to another one.`, 1)
  if (syscall === 'listen') refuse(`Latchkey cannot listen on ${host}, port ${port}: ${message}`, 1)
  if (databaseUrl && (isUnavailable(error) || refusesConnection.test(code)))
    refuse(`The database in DATABASE_URL cannot be reached: ${message}`, 1)
  refuse(
    `Latchkey could not start. ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    1,
  )
}

function refuse(message: string, exitCode: number): never {
  process.stderr.write(`${message}\n`)
  process.exit(exitCode)
}
