import { createWriteStream } from 'node:fs'
import { inject } from 'vitest'
import { readConfig } from '../../src/config.ts'
import type { LiveUsageEvent } from '../../src/domain/live-usage/count-list.ts'
import type { LiveUsageStore } from '../../src/domain/live-usage/usage-pages.ts'
import type { RequestIdStore } from '../../src/domain/metering/request-purge.ts'
import type { UsageStore } from '../../src/domain/metering/usage-store.ts'
import type { Month } from '../../src/domain/month.ts'
import { createLogger } from '../../src/log.ts'
import { createServices, databaseServerOf, prepareDatabase, type Services } from '../../src/services.ts'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { SqlUsageStore } from '../../src/storage/usage-store.ts'
import type { TestStorage } from '../support/app.ts'
import { TestClock } from '../support/clock.ts'

/** The fate of the next commit: it never reaches the database, or its answer is lost. */
export type Fault = 'fails before' | 'fails after'

/** Speeds up the rereads after a lost answer, which are a second apart and would take most of the simulation's time. */
const haste = 10

/** The real services over a real database, with commits that fail on demand. */
export class World {
  readonly clock: TestClock
  readonly #storage: TestStorage
  #running: { database: Database; services: Services; stop: () => Promise<void> } | undefined
  #watchers = new Map<string, Watcher>()
  fault: Fault | undefined

  /** @param seed determines how early or late timers are */
  constructor(storage: TestStorage, seed: number) {
    this.clock = new TestClock(new Date('2026-03-20T12:00:00Z'), haste, seed)
    this.#storage = storage
  }

  get services(): Services {
    if (!this.#running) throw new Error('The world is not running.')
    return this.#running.services
  }

  async start(): Promise<void> {
    const config = readConfig(
      {
        ...this.#storage.environment,
        AUTH_SECRET: 'x'.repeat(32),
        LIVE_INTERVAL_MS: '10',
        DEFAULT_PLAN: 'free',
        // Cancels out the haste.
        METER_TIMEOUT_MS: String(2_000 * haste),
      },
      () => ({ authSecret: '', encryptionKey: Buffer.alloc(32).toString('base64') }),
    )
    const log = createLogger('debug', createWriteStream(inject('logFile'), { flags: 'a' }))
    const database = await openDatabase({
      server: databaseServerOf(config),
      dataDir: config.dataDir,
      onIdleError: () => {},
    })
    const store = this.#faulty(new SqlUsageStore(database.pool, database.meteringPool))
    const parts = createServices(config, log, this.clock, database, store)
    await prepareDatabase(config, log, database, parts.services)
    this.#running = {
      database,
      services: parts.services,
      stop: async () => {
        await parts.stop()
        await database.close()
      },
    }
  }

  async stop(): Promise<void> {
    for (const watcher of this.#watchers.values()) await watcher.leave()
    this.#watchers.clear()
    await this.#running?.stop()
    this.#running = undefined
  }

  /** The subscriber of an account, created on first use. */
  watcher(accountId: string): Watcher {
    let watcher = this.#watchers.get(accountId)
    if (!watcher) {
      watcher = new Watcher(this.services.liveUsage.watch({ accountId }))
      this.#watchers.set(accountId, watcher)
    }
    return watcher
  }

  /** The calls that the database holds for a month, by account and by key. */
  async stored(month: Month): Promise<{ accounts: Map<string, number>; keys: Map<string, number> }> {
    const { prisma } = this.services
    const where = { month: new Date(`${month}-01T00:00:00Z`) }
    const accounts = await prisma.accountUsage.findMany({ where })
    const keys = await prisma.apiKeyUsage.findMany({ where })
    return {
      accounts: new Map(accounts.map(({ accountId, calls }) => [accountId, Number(calls)])),
      keys: new Map(keys.map(({ apiKeyId, calls }) => [apiKeyId, Number(calls)])),
    }
  }

  #faulty(store: SqlUsageStore): UsageStore & LiveUsageStore & RequestIdStore {
    return {
      forgetRequests: (before, most) => store.forgetRequests(before, most),
      readUsage: (accountId, month, page) => store.readUsage(accountId, month, page),
      charge: async (month, at, groups, timeUp) => {
        const fault = this.fault
        this.fault = undefined
        if (fault === 'fails before') throw new Error('The connection broke before the commit was sent.')
        const charge = await store.charge(month, at, groups, timeUp)
        if (fault === 'fails after') throw new Error('The connection broke before the answer came.')
        return charge
      },
    }
  }
}

/** Follows live counts and notices when they break their rules. */
export class Watcher {
  readonly counts = new Map<string, number>()
  accountCalls = 0
  month: string | undefined
  broken: string | undefined
  readonly #events: AsyncIterableIterator<LiveUsageEvent>
  readonly #done: Promise<void>
  #wake: () => void = () => {}

  constructor(events: AsyncIterableIterator<LiveUsageEvent>) {
    this.#events = events
    this.#done = this.#follow()
  }

  /** Resolves when `condition` holds. Fails if that takes much longer than the second that G5 allows. */
  async until(condition: () => boolean, withinMs = 5_000): Promise<void> {
    const timeout = AbortSignal.timeout(withinMs)
    while (!condition()) {
      if (this.broken) throw new Error(this.broken)
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        timeout.onabort = () =>
          reject(
            new Error(
              `The live counts did not become what is stored: ${this.month} ${this.accountCalls} ${JSON.stringify([...this.counts])}`,
            ),
          )
      })
    }
    if (this.broken) throw new Error(this.broken)
  }

  async leave(): Promise<void> {
    await this.#events.return?.()
    await this.#done
  }

  async #follow(): Promise<void> {
    for await (const { month, snapshot, account, apiKeys } of this.#events) {
      if (!this.month && !snapshot) this.broken = 'The first event is no snapshot.'
      if (month !== this.month) {
        if (!snapshot) this.broken = 'A month began without a snapshot.'
        this.counts.clear()
        this.accountCalls = 0
        this.month = month
      }
      if (account.calls < this.accountCalls) this.broken = 'The count of an account went down.'
      this.accountCalls = account.calls
      const listed = new Set(apiKeys.map(({ apiKeyId }) => apiKeyId))
      if (snapshot) for (const id of this.counts.keys()) if (!listed.has(id)) this.counts.delete(id)
      for (const { apiKeyId, calls } of apiKeys) {
        if (calls < (this.counts.get(apiKeyId) ?? 0)) this.broken = 'The count of a key went down.'
        this.counts.set(apiKeyId, calls)
      }
      this.#wake()
    }
  }
}
