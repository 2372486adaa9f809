import { resolve } from 'node:path'
import { z } from 'zod'
import { isPrefix } from './domain/secret.ts'
import type { EncryptionKey } from './domain/secret-vault.ts'
import { type LogLevel, logLevels } from './log.ts'
import { encryptionKeys, isDecodable, isOrigin, readOrigins, urlOf, wholeNumber } from './setting-types.ts'

/** How tokens are checked: by one of the two or by both. */
export interface AuthConfig {
  jwksUrl?: URL | undefined
  secret?: Uint8Array | undefined
  issuer?: string | undefined
  audience?: string | undefined
  accountClaim: string
}

/** What the server takes on before it refuses. Times are in milliseconds. */
export interface Limits {
  /** Of TCP, in all. */
  connections: number
  webSockets: number
  webSocketsPerAccount: number
  /** On one WebSocket. */
  subscriptions: number
  /** Under way at a time on one WebSocket, subscriptions included. */
  operations: number
  /** Under way at a time over HTTP, in all. */
  requests: number
  bodyBytes: number
  frameBytes: number
  headerBytes: number
  connectionInitMs: number
  pingMs: number
  headersMs: number
  requestMs: number
  idleMs: number
  /** Of the meter. */
  waitingCalls: number
  waitMs: number
  /** For a connection to the database. */
  waitingQueries: number
}

export interface Config {
  production: boolean
  host: string
  port: number
  /** Left out: the embedded database. */
  databaseUrl?: string | undefined
  /** Connections to it, those for metering included. */
  databasePoolSize: number
  databaseConnectTimeoutMs: number
  databaseStatementTimeoutMs: number
  dataDir: string
  /** Left out: an event bus within the process. */
  redisUrl?: string | undefined
  redisPrefix: string
  auth: AuthConfig
  /** Empty: secrets are shown once. */
  encryptionKeys: readonly EncryptionKey[]
  keyPrefix: string
  defaultPlan: string
  /** Left out: the catalogue that comes with Latchkey. */
  catalogue?: string | undefined
  logLevel: LogLevel
  liveIntervalMs: number
  /** Within this long every metered call is answered. */
  meterTimeoutMs: number
  /** How long `/ready` has said no before new connections are refused. */
  shutdownDelayMs: number
  /** From the signal to the end of the process, the delay included. */
  shutdownTimeoutMs: number
  graphiql: boolean
  limits: Limits
  /** Whether the API Keys page is served. */
  clientArea: boolean
  /** The site that the page takes its token from. Left out: in development it is the demo account's. */
  clientAreaOrigin?: string | undefined
  /** Left out: pages of any origin may ask. */
  corsOrigins?: readonly string[] | undefined
}

/** Every mistake in the settings, so that they are mended in one go. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(
      `The settings have ${mistakes.length === 1 ? 'a mistake' : 'mistakes'}:\n${mistakes.map((m) => `  ${m}`).join('\n')}`,
    )
    this.mistakes = mistakes
  }
}

const settings = z.object({
  NODE_ENV: z.string().optional(),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(4_000),
  DATABASE_URL: urlOf('postgres:', 'postgresql:').optional(),
  DATABASE_POOL_SIZE: wholeNumber(3, 1_000).default(10),
  DATABASE_CONNECT_TIMEOUT_MS: wholeNumber(100, 60_000).default(5_000),
  DATABASE_STATEMENT_TIMEOUT_MS: wholeNumber(100, 600_000).default(8_000),
  DATA_DIR: z.string().default('.latchkey'),
  REDIS_URL: urlOf('redis:', 'rediss:')
    .refine(
      isDecodable,
      'It must have a % only where it stands for a character; write the sign itself as %25.',
    )
    .optional(),
  REDIS_PREFIX: z.string().default('latchkey'),
  AUTH_JWKS_URL: urlOf('https:', 'http:').optional(),
  AUTH_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'It must have 32 bytes or more.')
    .optional(),
  AUTH_ISSUER: z.string().optional(),
  AUTH_AUDIENCE: z.string().optional(),
  AUTH_ACCOUNT_CLAIM: z.string().default('account'),
  KEY_ENCRYPTION_KEYS: encryptionKeys.optional(),
  KEY_PREFIX: z
    .string()
    .refine(
      isPrefix,
      'It must be lower-case letters and digits, a letter first, in words joined by _; up to 16 characters.',
    )
    .default('lk'),
  DEFAULT_PLAN: z.string().default('free'),
  CATALOGUE: z.string().optional(),
  LOG_LEVEL: z.enum(logLevels, `It must be one of ${logLevels.join(', ')}.`).default('info'),
  LIVE_INTERVAL_MS: wholeNumber(10, 60_000).default(250),
  METER_TIMEOUT_MS: wholeNumber(100, 60_000).default(2_000),
  SHUTDOWN_DELAY_MS: wholeNumber(0, 600_000).default(1_000),
  SHUTDOWN_TIMEOUT_MS: wholeNumber(1_000, 600_000).default(10_000),
  GRAPHIQL: z.enum(['on', 'off'], 'It must be on or off.').optional(),
  MAX_CONNECTIONS: wholeNumber(1, 1_000_000).default(25_000),
  MAX_WEBSOCKETS: wholeNumber(1, 1_000_000).default(20_000),
  MAX_WEBSOCKETS_PER_ACCOUNT: wholeNumber(1, 1_000_000).default(100),
  MAX_SUBSCRIPTIONS: wholeNumber(1, 100_000).default(100),
  MAX_OPERATIONS: wholeNumber(1, 100_000).default(2_000),
  MAX_REQUESTS: wholeNumber(1, 1_000_000).default(20_000),
  MAX_BODY_BYTES: wholeNumber(1_024, 67_108_864).default(1_048_576),
  MAX_FRAME_BYTES: wholeNumber(1_024, 67_108_864).default(1_048_576),
  MAX_HEADER_BYTES: wholeNumber(1_024, 1_048_576).default(16_384),
  CONNECTION_INIT_TIMEOUT_MS: wholeNumber(100, 600_000).default(3_000),
  PING_INTERVAL_MS: wholeNumber(100, 600_000).default(12_000),
  HEADERS_TIMEOUT_MS: wholeNumber(100, 600_000).default(10_000),
  REQUEST_TIMEOUT_MS: wholeNumber(100, 600_000).default(30_000),
  IDLE_TIMEOUT_MS: wholeNumber(100, 600_000).default(65_000),
  MAX_WAITING_CALLS: wholeNumber(1, 1_000_000).default(20_000),
  MAX_WAIT_MS: wholeNumber(10, 60_000).default(250),
  MAX_WAITING_QUERIES: wholeNumber(1, 100_000).default(1_000),
  CLIENT_AREA: z.enum(['on', 'off'], 'It must be on or off.').optional(),
  CLIENT_AREA_ORIGIN: z
    .string()
    .refine(
      isOrigin,
      'It must be an origin such as https://app.example.com, with neither a path nor a slash.',
    )
    .optional(),
  CORS_ORIGINS: z.string().default('*').transform(readOrigins),
})

/** Secrets that development makes up for itself and keeps in the data directory. */
export interface DevelopmentSecrets {
  authSecret: string
  encryptionKey: string
}

/**
 * Reads the settings; one that is given as an empty string counts as not given. Outside production, what is
 * needed to check tokens and to keep secrets recoverable is made up by `developmentSecrets` where it is not
 * given.
 * @throws ConfigError
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  developmentSecrets: (dataDir: string) => DevelopmentSecrets,
): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = settings.safeParse(given)
  const mistakes = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  const production = given.NODE_ENV === 'production'
  if (production && !given.AUTH_JWKS_URL && !given.AUTH_SECRET)
    mistakes.push(
      'AUTH_JWKS_URL or AUTH_SECRET: One of them must be set in production, to check tokens with.',
    )
  if (production && given.CLIENT_AREA === 'on' && !given.CLIENT_AREA_ORIGIN)
    mistakes.push(
      'CLIENT_AREA_ORIGIN: It must be set with CLIENT_AREA=on in production, to the site that hands the page its token.',
    )
  if (parsed.success && parsed.data.SHUTDOWN_DELAY_MS > parsed.data.SHUTDOWN_TIMEOUT_MS / 2)
    mistakes.push('SHUTDOWN_DELAY_MS: It must be no more than half of SHUTDOWN_TIMEOUT_MS.')
  if (!parsed.success || mistakes.length > 0) throw new ConfigError(mistakes)
  return configFrom(parsed.data, production, developmentSecrets)
}

function configFrom(
  env: z.output<typeof settings>,
  production: boolean,
  developmentSecrets: (dataDir: string) => DevelopmentSecrets,
): Config {
  const dataDir = resolve(env.DATA_DIR)
  const needsAuthSecret = !env.AUTH_JWKS_URL && !env.AUTH_SECRET
  const needsMadeUp = !production && (needsAuthSecret || !env.KEY_ENCRYPTION_KEYS)
  const madeUp = needsMadeUp ? developmentSecrets(dataDir) : undefined
  const authSecret = env.AUTH_SECRET ?? (needsAuthSecret ? madeUp?.authSecret : undefined)
  return Object.freeze({
    production,
    host: env.HOST,
    port: env.PORT,
    databaseUrl: env.DATABASE_URL,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    databaseConnectTimeoutMs: env.DATABASE_CONNECT_TIMEOUT_MS,
    databaseStatementTimeoutMs: env.DATABASE_STATEMENT_TIMEOUT_MS,
    dataDir,
    redisUrl: env.REDIS_URL,
    redisPrefix: env.REDIS_PREFIX,
    auth: {
      jwksUrl: env.AUTH_JWKS_URL ? new URL(env.AUTH_JWKS_URL) : undefined,
      secret: authSecret === undefined ? undefined : new TextEncoder().encode(authSecret),
      issuer: env.AUTH_ISSUER,
      audience: env.AUTH_AUDIENCE,
      accountClaim: env.AUTH_ACCOUNT_CLAIM,
    },
    encryptionKeys:
      env.KEY_ENCRYPTION_KEYS ??
      (madeUp
        ? [{ kid: 'development', key: new Uint8Array(Buffer.from(madeUp.encryptionKey, 'base64')) }]
        : []),
    keyPrefix: env.KEY_PREFIX,
    defaultPlan: env.DEFAULT_PLAN,
    catalogue: env.CATALOGUE,
    logLevel: env.LOG_LEVEL,
    liveIntervalMs: env.LIVE_INTERVAL_MS,
    clientArea: env.CLIENT_AREA ? env.CLIENT_AREA === 'on' : !production,
    clientAreaOrigin: env.CLIENT_AREA_ORIGIN,
    corsOrigins: env.CORS_ORIGINS,
    meterTimeoutMs: env.METER_TIMEOUT_MS,
    shutdownDelayMs: env.SHUTDOWN_DELAY_MS,
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    graphiql: env.GRAPHIQL ? env.GRAPHIQL === 'on' : !production,
    limits: limitsFrom(env),
  })
}

function limitsFrom(env: z.output<typeof settings>): Limits {
  return Object.freeze({
    connections: env.MAX_CONNECTIONS,
    webSockets: env.MAX_WEBSOCKETS,
    webSocketsPerAccount: env.MAX_WEBSOCKETS_PER_ACCOUNT,
    subscriptions: env.MAX_SUBSCRIPTIONS,
    operations: env.MAX_OPERATIONS,
    requests: env.MAX_REQUESTS,
    bodyBytes: env.MAX_BODY_BYTES,
    frameBytes: env.MAX_FRAME_BYTES,
    headerBytes: env.MAX_HEADER_BYTES,
    connectionInitMs: env.CONNECTION_INIT_TIMEOUT_MS,
    pingMs: env.PING_INTERVAL_MS,
    headersMs: env.HEADERS_TIMEOUT_MS,
    requestMs: env.REQUEST_TIMEOUT_MS,
    idleMs: env.IDLE_TIMEOUT_MS,
    waitingCalls: env.MAX_WAITING_CALLS,
    waitMs: env.MAX_WAIT_MS,
    waitingQueries: env.MAX_WAITING_QUERIES,
  })
}

/** The settings of this process. Nothing else reads the environment. */
export function readProcessConfig(developmentSecrets: (dataDir: string) => DevelopmentSecrets): Config {
  return readConfig(process.env, developmentSecrets)
}
