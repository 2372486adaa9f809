import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core'
import pg from 'pg'
import { inject } from 'vitest'
import { type App, type AppOptions, createApp } from '../../src/app.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { mintToken, type TokenClaims } from '../../src/development.ts'
import { createLogger } from '../../src/log.ts'
import { TestClock } from './clock.ts'
import { postgresUrl } from './services.ts'

/** Which database a test runs on. */
export type DatabaseKind = 'embedded' | 'PostgreSQL'

/** The available databases, for `describe.each`; the embedded one always is. */
export const databases: DatabaseKind[] = inject('postgres') ? ['embedded', 'PostgreSQL'] : ['embedded']

/** For files of many tests: one of these in `npm test`, and all of them in the run that repeats tests. */
export const databasesInTurn: DatabaseKind[] =
  inject('thorough') || !inject('postgres') ? databases : ['PostgreSQL']

/** For tests of the server rather than of a database: the one that starts in a quarter of the other's time. */
export const quickestDatabase: DatabaseKind = inject('postgres') ? 'PostgreSQL' : 'embedded'

/** What a GraphQL response holds. */
export interface Response<Data> {
  status: number
  data: Data
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; issues?: unknown } }[]
}

export interface TestApp extends Omit<App, 'stop'> {
  clock: TestClock
  config: Config
  /** A token for these claims. */
  token(claims: Partial<TokenClaims>): Promise<string>
  /** Sends an operation over HTTP; `as` is a token. */
  query<Data, Variables>(
    document: DocumentTypeDecoration<Data, Variables> | string,
    options?: { as?: string | undefined; variables?: Variables },
  ): Promise<Response<Data>>
  /** Queries the database directly. */
  sql<Row>(text: string, ...values: unknown[]): Promise<Row[]>
  stop(): Promise<void>
  /** Stops the server and starts another on the same database and clock. */
  restart(): Promise<TestApp>
}

export interface TestAppOptions {
  database?: DatabaseKind
  /** An existing database, to start another server on. */
  storage?: TestStorage
  /** Whether stopping the server drops the database; by default only one that was created for it. */
  ownsStorage?: boolean
  clock?: TestClock
  environment?: Record<string, string>
  explorer?: AppOptions['explorer']
  demoToken?: AppOptions['demoToken']
  clientAreaDirectory?: string
}

/** A database of a test's own. */
export interface TestStorage {
  environment: Record<string, string>
  drop(): Promise<void>
}

const authSecret = 'a secret that only tests are signed with'
const encryptionKey = Buffer.alloc(32, 7).toString('base64')

/**
 * Copies the seeded template into an empty directory. With `cp`, because Node.js 20 takes several times as long for a
 * thousand files: as long as a server takes to start.
 */
export async function copyTemplate(dataDir: string): Promise<void> {
  await promisify(execFile)('cp', ['-R', `${inject('templateDir')}/.`, dataDir])
}

/** A fresh database: a copy of the seeded template, or an empty one on the PostgreSQL server. */
export async function createStorage(kind: DatabaseKind): Promise<TestStorage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-data-'))
  const dropDataDir = () => rm(dataDir, { recursive: true, force: true })
  if (kind === 'embedded') {
    await copyTemplate(dataDir)
    return { environment: { DATA_DIR: dataDir }, drop: dropDataDir }
  }
  const name = `latchkey_test_${randomUUID().replaceAll('-', '')}`
  await administer(`create database ${name}`)
  const url = new URL(postgresUrl)
  url.pathname = `/${name}`
  return {
    environment: { DATA_DIR: dataDir, DATABASE_URL: url.href },
    async drop() {
      await administer(`drop database if exists ${name} with (force)`)
      await dropDataDir()
    },
  }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/**
 * A pool of connections to a PostgreSQL database, apart from any server's; `options` are libpq's. The database may be
 * dropped while they close.
 */
export function connectTo({ environment }: TestStorage, max: number, options?: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: environment.DATABASE_URL, max, options })
  // The pool reports errors of idle connections, and each connection its own.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** Starts a server on a database of its own, which stopping it drops. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { database = quickestDatabase, clock = new TestClock(), environment = {} } = options
  const storage = options.storage ?? (await createStorage(database))
  const config = readConfig(
    {
      PORT: '0',
      AUTH_SECRET: authSecret,
      KEY_ENCRYPTION_KEYS: `test:${encryptionKey}`,
      LIVE_INTERVAL_MS: '20',
      LOG_LEVEL: 'debug',
      // A machine that runs tests may stall for longer than a gateway would wait.
      METER_TIMEOUT_MS: '10000',
      ...storage.environment,
      ...environment,
    },
    () => {
      throw new Error('Tests set every secret.')
    },
  )
  // Not redacted: the end of the run fails if a secret stands in this file.
  const log = createLogger(config.logLevel, createWriteStream(inject('logFile'), { flags: 'a' }))
  const { explorer, demoToken, clientAreaDirectory } = options
  const app = await createApp({ config, log, clock, explorer, demoToken, clientAreaDirectory })
  const ownsStorage = options.ownsStorage ?? !options.storage
  const stop = async () => {
    await app.stop()
    if (ownsStorage) await storage.drop()
  }
  return {
    ...app,
    clock,
    config,
    token: async (claims) =>
      noteSecrets(
        await mintToken(config.auth, { subject: 'tester', scopes: [], lifetime: '3650d', ...claims }),
      ),
    query: (document, options) => sendOperation(app.url, document, options),
    sql: (text, ...values) => app.services.prisma.$queryRawUnsafe(text, ...values),
    stop,
    async restart() {
      await app.stop()
      return startApp({ ...options, storage, ownsStorage, clock })
    },
  }
}

/** Records a secret or token; the run fails if a server logs it. */
export function noteSecrets<Text extends string>(text: Text): Text {
  appendFileSync(inject('issuedSecretsFile'), `${text}\n`)
  return text
}

/** Sends an operation to a server over HTTP; `as` is a token. */
export async function sendOperation<Data, Variables>(
  url: string,
  document: DocumentTypeDecoration<Data, Variables> | string,
  { as, variables }: { as?: string | undefined; variables?: Variables } = {},
): Promise<Response<Data>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(as ? { authorization: `Bearer ${as}` } : {}) },
    body: JSON.stringify({ query: String(document), variables }),
  })
  const text = await response.text()
  for (const [, secret] of text.matchAll(/"(?:secret|firstSecret)":"([^"]+)"/g))
    if (secret) noteSecrets(secret)
  return { status: response.status, ...JSON.parse(text) }
}
