import { resolve } from 'node:path'
import { z } from 'zod'
import { isPrefix } from './domain/secret.ts'
import type { EncryptionKey } from './domain/secret-vault.ts'
import { type LogLevel, logLevels } from './log.ts'

/** How tokens are checked: by one of the two or by both. */
export interface AuthConfig {
  jwksUrl?: URL | undefined
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
  graphiql: boolean
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

const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `It must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}.`,
  })

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, `It must be a whole number from ${least} to ${most}.`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `It must be a whole number from ${least} to ${most}.`)

/** 32 bytes in base64, with the characters of either alphabet. */
const base64Key = /^[A-Za-z0-9+/_-]{43}=?$/

const encryptionKeys = z.string().transform((text, context): EncryptionKey[] => {
  const refuse = (message: string) => context.addIssue({ code: 'custom', message })
  const keys = text.split(',').map((part) => {
    const [kid = '', encoded = ''] = part.trim().split(/:(.*)/s)
    if (!kid || !base64Key.test(encoded))
      refuse('Each key must be written kid:key, the key being 32 bytes in base64.')
    return { kid, key: new Uint8Array(Buffer.from(encoded, 'base64')) }
  })
  // Of two keys with one id, the second would open nothing.
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) refuse('Each key must have a kid of its own.')
  return keys
})

const settings = z.object({
  NODE_ENV: z.string().optional(),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(4_000),
  DATABASE_URL: urlOf('postgres:', 'postgresql:').optional(),
  DATA_DIR: z.string().default('.latchkey'),
  REDIS_URL: urlOf('redis:', 'rediss:').optional(),
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
  GRAPHIQL: z.enum(['on', 'off'], 'It must be on or off.').optional(),
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
    graphiql: env.GRAPHIQL ? env.GRAPHIQL === 'on' : !production,
  })
}

/** The settings of this process. Nothing else reads the environment. */
export function readProcessConfig(developmentSecrets: (dataDir: string) => DevelopmentSecrets): Config {
  return readConfig(process.env, developmentSecrets)
}
