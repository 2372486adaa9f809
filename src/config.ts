import { resolve } from 'node:path'
import { z } from 'zod'
import { isPrefix } from './domain/secret.ts'
import type { EncryptionKey } from './domain/secret-vault.ts'
import { type Limits, limitSettings } from './limits.ts'
import { type LogLevel, logLevels } from './log.ts'
import { encryptionKeys, isDecodable, isOrigin, readOrigins, urlOf, wholeNumber } from './setting-types.ts'

/** How tokens are verified: with a JWKS, a shared secret, or both. */
export interface AuthConfig {
  jwksUrl?: URL | undefined
  /** How long its keys are used while they cannot be fetched again. */
  jwksMaxStaleMs: number
  secret?: Uint8Array | undefined
  issuer?: string | undefined
  audience?: string | undefined
  accountClaim: string
}

export interface Config {
  production: boolean
  host: string
  port: number
  /** Left out: the embedded database. */
  databaseUrl?: string | undefined
  /** Connections to it, including those for metering. */
  databasePoolSize: number
  databaseConnectTimeoutMs: number
  databaseStatementTimeoutMs: number
  dataDir: string
  /** Left out: this server runs alone. */
  redisUrl?: string | undefined
  redisPrefix: string
  auth: AuthConfig
  /** Empty: secrets are shown once. */
  encryptionKeys: readonly EncryptionKey[]
  keyPrefix: string
  defaultPlan: string
  /** Left out: the catalogue that ships with Latchkey. */
  catalogue?: string | undefined
  logLevel: LogLevel
  liveIntervalMs: number
  /** Every metered call is answered within this time. */
  meterTimeoutMs: number
  /** After SIGTERM, how long `/ready` answers 503 before the server stops accepting connections. */
  shutdownDelayMs: number
  /** From SIGTERM to the end of the process, including the delay. */
  shutdownTimeoutMs: number
  graphiql: boolean
  limits: Limits
  /** Whether the API Keys page is served. */
  clientArea: boolean
  /** The origin that supplies the page's token. Left out: development uses the demo account. */
  clientAreaOrigin?: string | undefined
  /** Left out: pages of any origin may send requests. */
  corsOrigins?: readonly string[] | undefined
}

/** Lists every mistake in the settings, so that all can be fixed at once. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(`Invalid settings:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`)
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
    .refine(isDecodable, 'must be percent-encoded: write the character % as %25.')
    .optional(),
  REDIS_PREFIX: z.string().default('latchkey'),
  AUTH_JWKS_URL: urlOf('https:', 'http:').optional(),
  AUTH_JWKS_MAX_STALE_MS: wholeNumber(600_000, 604_800_000).default(3_600_000),
  AUTH_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'must have at least 32 bytes.')
    .optional(),
  AUTH_ISSUER: z.string().optional(),
  AUTH_AUDIENCE: z.string().optional(),
  AUTH_ACCOUNT_CLAIM: z.string().default('account'),
  KEY_ENCRYPTION_KEYS: encryptionKeys.optional(),
  KEY_PREFIX: z
    .string()
    .refine(
      isPrefix,
      'must be at most 16 characters: words of lower-case letters and digits, joined by _, starting with a letter.',
    )
    .default('lk'),
  DEFAULT_PLAN: z.string().default('free'),
  CATALOGUE: z.string().optional(),
  LOG_LEVEL: z.enum(logLevels, `must be one of ${logLevels.join(', ')}.`).default('info'),
  LIVE_INTERVAL_MS: wholeNumber(10, 60_000).default(250),
  METER_TIMEOUT_MS: wholeNumber(100, 60_000).default(2_000),
  SHUTDOWN_DELAY_MS: wholeNumber(0, 600_000).default(1_000),
  SHUTDOWN_TIMEOUT_MS: wholeNumber(1_000, 600_000).default(10_000),
  GRAPHIQL: z.enum(['on', 'off'], 'must be on or off.').optional(),
  CLIENT_AREA: z.enum(['on', 'off'], 'must be on or off.').optional(),
  CLIENT_AREA_ORIGIN: z
    .string()
    .refine(
      isOrigin,
      'must be an origin such as https://app.example.com, without a path or a trailing slash.',
    )
    .optional(),
  CORS_ORIGINS: z.string().default('*').transform(readOrigins),
})

const limitSchema = z.object(
  Object.fromEntries(
    Object.values(limitSettings).map(({ setting, least, most, byDefault }) => [
      setting,
      wholeNumber(least, most).default(byDefault),
    ]),
  ),
)

/** Secrets that development generates and keeps in the data directory. */
export interface DevelopmentSecrets {
  authSecret: string
  encryptionKey: string
}

/**
 * Reads the settings. An empty string counts as not set. Outside production, `developmentSecrets` supplies the secrets
 * that are needed to verify tokens and to seal API keys and that are not set.
 * @throws ConfigError, which lists every mistake
 */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  developmentSecrets: (dataDir: string) => DevelopmentSecrets,
): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = settings.safeParse(given)
  const limits = limitSchema.safeParse(given)
  const mistakes = [parsed, limits].flatMap(({ error }) =>
    (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  )
  const production = given.NODE_ENV === 'production'
  if (production && !given.AUTH_JWKS_URL && !given.AUTH_SECRET)
    mistakes.push('AUTH_JWKS_URL or AUTH_SECRET: at least one must be set in production, to verify tokens.')
  for (const name of ['AUTH_ISSUER', 'AUTH_AUDIENCE'])
    if (production && given.AUTH_JWKS_URL && !given[name])
      mistakes.push(
        `${name}: must be set in production with AUTH_JWKS_URL, so that tokens for other services are refused.`,
      )
  if (production && given.CLIENT_AREA === 'on' && !given.CLIENT_AREA_ORIGIN)
    mistakes.push(
      'CLIENT_AREA_ORIGIN: must be set in production if CLIENT_AREA=on, to the origin that supplies its tokens.',
    )
  if (parsed.success && parsed.data.SHUTDOWN_DELAY_MS > parsed.data.SHUTDOWN_TIMEOUT_MS / 2)
    mistakes.push('SHUTDOWN_DELAY_MS: must be at most half of SHUTDOWN_TIMEOUT_MS.')
  if (!parsed.success || !limits.success || mistakes.length > 0) throw new ConfigError(mistakes)
  return configFrom(parsed.data, limitsFrom(limits.data), production, developmentSecrets)
}

function configFrom(
  env: z.output<typeof settings>,
  limits: Limits,
  production: boolean,
  developmentSecrets: (dataDir: string) => DevelopmentSecrets,
): Config {
  const dataDir = resolve(env.DATA_DIR)
  const needsAuthSecret = !env.AUTH_JWKS_URL && !env.AUTH_SECRET
  const needsGenerated = !production && (needsAuthSecret || !env.KEY_ENCRYPTION_KEYS)
  const generated = needsGenerated ? developmentSecrets(dataDir) : undefined
  const authSecret = env.AUTH_SECRET ?? (needsAuthSecret ? generated?.authSecret : undefined)
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
      jwksMaxStaleMs: env.AUTH_JWKS_MAX_STALE_MS,
      secret: authSecret === undefined ? undefined : new TextEncoder().encode(authSecret),
      issuer: env.AUTH_ISSUER,
      audience: env.AUTH_AUDIENCE,
      accountClaim: env.AUTH_ACCOUNT_CLAIM,
    },
    encryptionKeys:
      env.KEY_ENCRYPTION_KEYS ??
      (generated
        ? [{ kid: 'development', key: new Uint8Array(Buffer.from(generated.encryptionKey, 'base64')) }]
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
    limits,
  })
}

function limitsFrom(env: Readonly<Record<string, number>>): Limits {
  const limits = Object.entries(limitSettings).map(([name, { setting }]) => [name, env[setting]])
  return Object.freeze(Object.fromEntries(limits))
}

/** The settings of this process. No other module reads the environment. */
export function readProcessConfig(developmentSecrets: (dataDir: string) => DevelopmentSecrets): Config {
  return readConfig(process.env, developmentSecrets)
}
