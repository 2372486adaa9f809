import { setTimeout } from 'node:timers/promises'
import { type Clock, createSystemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Logger } from './log.ts'
import type { Explorer } from './pages/graphiql.ts'
import {
  createServices,
  databaseServerOf,
  prepareDatabase,
  type Services,
  watchDatabase,
} from './services.ts'
import { openDatabase } from './storage/database.ts'
import type { EmbeddedDatabase } from './storage/embedded.ts'
import { startTransports, type TransportOptions } from './transports.ts'

export interface AppOptions extends Pick<TransportOptions, 'demoToken' | 'clientAreaDirectory' | 'schema'> {
  config: Config
  log: Logger
  clock?: Clock
  /** The embedded database, if it is being started already. Left out: it is started where the settings ask for it. */
  embedded?: Promise<EmbeddedDatabase> | undefined
  /** Reads what GraphiQL is filled in with. Left out: placeholders. */
  explorer?: ((services: Services) => Promise<Explorer>) | undefined
}

export interface App {
  /** Where it listens: `http://host:port`. */
  url: string
  /** For preparing data: in development's start-up, and in tests. */
  services: Services
  /**
   * Answers 503 at `/ready` for `delayMs` (0 by default) while everything else goes on; then answers what was accepted
   * and closes everything. Harmless when called again.
   */
  stop(options?: { delayMs?: number }): Promise<void>
}

/**
 * Opens the database, migrates it, puts the parts together and listens.
 * @throws DataDirInUseError, UnknownDefaultPlanError, whatever opening or migrating the database fails with, and Node's
 * EADDRINUSE
 */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, log, clock = createSystemClock() } = options
  const database = await openDatabase({
    server: databaseServerOf(config),
    embedded: options.embedded,
    dataDir: config.dataDir,
    onIdleError: (err) => log.warn({ err }, 'a database connection broke'),
  })
  const parts = createServices(config, log, clock, database)
  let endWatch = () => {}
  try {
    await prepareDatabase(config, log, database, parts.services)
    endWatch = await watchDatabase(log, clock, database)
    const { services } = parts
    const { explorer: readExplorer } = options
    const explorer = readExplorer && (() => readExplorer(services))
    const transports = await startTransports({ ...options, explorer, clock, database, services })
    let stopped: Promise<void> | undefined
    return {
      url: transports.url,
      services: parts.services,
      stop({ delayMs = 0 } = {}) {
        stopped ??= (async () => {
          transports.announceStop()
          if (delayMs > 0) await setTimeout(delayMs)
          await transports.stop(config.shutdownTimeoutMs - delayMs)
          endWatch()
          await parts.stop()
          await database.close()
        })()
        return stopped
      },
    }
  } catch (error) {
    endWatch()
    await parts.stop()
    await database.close()
    throw error
  }
}
