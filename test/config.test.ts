import { describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

const madeUp = {
  authSecret: 'made up by development, of 32 bytes',
  encryptionKey: Buffer.alloc(32, 1).toString('base64'),
}
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64')
const read = (environment: Record<string, string | undefined>) => readConfig(environment, () => madeUp)
const production = { NODE_ENV: 'production', AUTH_SECRET: 'x'.repeat(32) }

function mistakesIn(environment: Record<string, string | undefined>): readonly string[] {
  try {
    read(environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return []
}

describe('a setting', () => {
  it('has the documented default', () => {
    const { dataDir, auth, encryptionKeys: _, ...config } = read({})
    expect(config).toEqual({
      production: false,
      host: '127.0.0.1',
      port: 4_000,
      databaseUrl: undefined,
      databasePoolSize: 10,
      databaseConnectTimeoutMs: 5_000,
      databaseStatementTimeoutMs: 8_000,
      redisUrl: undefined,
      redisPrefix: 'latchkey',
      keyPrefix: 'lk',
      defaultPlan: 'free',
      catalogue: undefined,
      logLevel: 'info',
      liveIntervalMs: 250,
      meterTimeoutMs: 2_000,
      shutdownDelayMs: 1_000,
      shutdownTimeoutMs: 10_000,
      graphiql: true,
      limits: {
        connections: 25_000,
        webSockets: 20_000,
        webSocketsPerAccount: 100,
        subscriptions: 100,
        operations: 2_000,
        requests: 20_000,
        bodyBytes: 1_048_576,
        frameBytes: 1_048_576,
        headerBytes: 16_384,
        connectionInitMs: 3_000,
        pingMs: 12_000,
        headersMs: 10_000,
        requestMs: 30_000,
        idleMs: 65_000,
        waitingCalls: 20_000,
        waitMs: 250,
        waitingQueries: 1_000,
      },
      clientArea: true,
      clientAreaOrigin: undefined,
      corsOrigins: undefined,
    })
    expect(dataDir).toBe(`${process.cwd()}/.latchkey`)
    expect(auth).toMatchObject({
      jwksUrl: undefined,
      issuer: undefined,
      audience: undefined,
      accountClaim: 'account',
    })
  })

  it.each([
    ['HOST', '::', { host: '::' }],
    ['PORT', '0', { port: 0 }],
    ['PORT', '65535', { port: 65_535 }],
    ['DATABASE_URL', 'postgres://localhost/latchkey', { databaseUrl: 'postgres://localhost/latchkey' }],
    [
      'DATABASE_URL',
      'postgresql://u:p@h:1/d?sslmode=require',
      { databaseUrl: 'postgresql://u:p@h:1/d?sslmode=require' },
    ],
    ['DATA_DIR', '/var/lib/latchkey', { dataDir: '/var/lib/latchkey' }],
    ['REDIS_URL', 'redis://localhost:6379', { redisUrl: 'redis://localhost:6379' }],
    ['REDIS_URL', 'rediss://:p@host', { redisUrl: 'rediss://:p@host' }],
    ['REDIS_PREFIX', 'acme', { redisPrefix: 'acme' }],
    [
      'AUTH_JWKS_URL',
      'https://issuer.example/jwks',
      { auth: { jwksUrl: new URL('https://issuer.example/jwks') } },
    ],
    ['AUTH_SECRET', 'ü'.repeat(16), { auth: { secret: new TextEncoder().encode('ü'.repeat(16)) } }],
    ['AUTH_ISSUER', 'https://issuer.example', { auth: { issuer: 'https://issuer.example' } }],
    ['AUTH_AUDIENCE', 'latchkey', { auth: { audience: 'latchkey' } }],
    ['AUTH_ACCOUNT_CLAIM', 'https://saas.example/id', { auth: { accountClaim: 'https://saas.example/id' } }],
    ['KEY_PREFIX', 'acme_live', { keyPrefix: 'acme_live' }],
    ['KEY_PREFIX', 'a234567890123456', { keyPrefix: 'a234567890123456' }],
    ['DEFAULT_PLAN', 'gold', { defaultPlan: 'gold' }],
    ['CATALOGUE', 'other.json', { catalogue: 'other.json' }],
    ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
    ['LIVE_INTERVAL_MS', '10', { liveIntervalMs: 10 }],
    ['LIVE_INTERVAL_MS', '60000', { liveIntervalMs: 60_000 }],
    ['MAX_CONNECTIONS', '1', { limits: { connections: 1 } }],
    ['MAX_WEBSOCKETS', '2', { limits: { webSockets: 2 } }],
    ['MAX_WEBSOCKETS_PER_ACCOUNT', '3', { limits: { webSocketsPerAccount: 3 } }],
    ['MAX_SUBSCRIPTIONS', '4', { limits: { subscriptions: 4 } }],
    ['MAX_OPERATIONS', '5', { limits: { operations: 5 } }],
    ['MAX_REQUESTS', '6', { limits: { requests: 6 } }],
    ['MAX_BODY_BYTES', '1024', { limits: { bodyBytes: 1_024 } }],
    ['MAX_FRAME_BYTES', '67108864', { limits: { frameBytes: 67_108_864 } }],
    ['MAX_HEADER_BYTES', '8192', { limits: { headerBytes: 8_192 } }],
    ['CONNECTION_INIT_TIMEOUT_MS', '101', { limits: { connectionInitMs: 101 } }],
    ['PING_INTERVAL_MS', '102', { limits: { pingMs: 102 } }],
    ['HEADERS_TIMEOUT_MS', '103', { limits: { headersMs: 103 } }],
    ['REQUEST_TIMEOUT_MS', '104', { limits: { requestMs: 104 } }],
    ['IDLE_TIMEOUT_MS', '105', { limits: { idleMs: 105 } }],
    ['MAX_WAITING_CALLS', '7', { limits: { waitingCalls: 7 } }],
    ['MAX_WAIT_MS', '106', { limits: { waitMs: 106 } }],
    ['MAX_WAITING_QUERIES', '8', { limits: { waitingQueries: 8 } }],
    ['DATABASE_POOL_SIZE', '3', { databasePoolSize: 3 }],
    ['DATABASE_CONNECT_TIMEOUT_MS', '100', { databaseConnectTimeoutMs: 100 }],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '30000', { databaseStatementTimeoutMs: 30_000 }],
    ['METER_TIMEOUT_MS', '100', { meterTimeoutMs: 100 }],
    ['SHUTDOWN_DELAY_MS', '0', { shutdownDelayMs: 0 }],
    ['SHUTDOWN_TIMEOUT_MS', '2000', { shutdownTimeoutMs: 2_000 }],
    ['GRAPHIQL', 'on', { graphiql: true }],
    ['GRAPHIQL', 'off', { graphiql: false }],
    ['CLIENT_AREA', 'on', { clientArea: true }],
    ['CLIENT_AREA', 'off', { clientArea: false }],
    ['CLIENT_AREA_ORIGIN', 'https://app.example.com', { clientAreaOrigin: 'https://app.example.com' }],
    ['CLIENT_AREA_ORIGIN', 'http://[::1]:8080', { clientAreaOrigin: 'http://[::1]:8080' }],
    ['CORS_ORIGINS', '*', { corsOrigins: undefined }],
    ['CORS_ORIGINS', 'https://a.example', { corsOrigins: ['https://a.example'] }],
    [
      'CORS_ORIGINS',
      'https://a.example, http://localhost:8080',
      { corsOrigins: ['https://a.example', 'http://localhost:8080'] },
    ],
  ])('is taken: %s=%s', (name, value, expected) => {
    expect(read({ [name]: value })).toMatchObject(expected)
  })

  it.each([
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '4000.5'],
    ['PORT', '0x10'],
    ['DATABASE_URL', 'mysql://localhost'],
    ['DATABASE_URL', 'localhost:5432'],
    ['REDIS_URL', 'localhost:6379'],
    ['REDIS_URL', 'http://localhost'],
    ['REDIS_URL', 'redis://:%zz@localhost'],
    ['AUTH_JWKS_URL', 'issuer.example/jwks'],
    ['AUTH_JWKS_URL', 'file:///etc/passwd'],
    ['AUTH_SECRET', 'x'.repeat(31)],
    ['KEY_ENCRYPTION_KEYS', 'without a colon'],
    ['KEY_ENCRYPTION_KEYS', `:${key(1)}`],
    ['KEY_ENCRYPTION_KEYS', `one:${Buffer.alloc(31).toString('base64')}`],
    ['KEY_ENCRYPTION_KEYS', `one:${Buffer.alloc(32).toString('hex')}`],
    ['KEY_ENCRYPTION_KEYS', `one:${key(1)},`],
    ['KEY_ENCRYPTION_KEYS', `one:${key(1)},one:${key(2)}`],
    ['KEY_ENCRYPTION_KEYS', `one:${key(1)}!`],
    ['KEY_PREFIX', 'Acme'],
    ['KEY_PREFIX', '1lk'],
    ['KEY_PREFIX', 'lk_'],
    ['KEY_PREFIX', 'a2345678901234567'],
    ['LOG_LEVEL', 'loud'],
    ['LIVE_INTERVAL_MS', '9'],
    ['LIVE_INTERVAL_MS', '60001'],
    ['LIVE_INTERVAL_MS', 'fast'],
    ['DATABASE_POOL_SIZE', '2'],
    ['DATABASE_CONNECT_TIMEOUT_MS', '99'],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '8s'],
    ['METER_TIMEOUT_MS', '0'],
    ['SHUTDOWN_DELAY_MS', '5001'],
    ['SHUTDOWN_TIMEOUT_MS', '999'],
    ['GRAPHIQL', 'yes'],
    ['MAX_WEBSOCKETS', '0'],
    ['MAX_BODY_BYTES', '1023'],
    ['MAX_FRAME_BYTES', '1MB'],
    ['IDLE_TIMEOUT_MS', '99'],
    ['MAX_WAIT_MS', '60001'],
    ['CLIENT_AREA', 'yes'],
    ['CLIENT_AREA_ORIGIN', '*'],
    ['CLIENT_AREA_ORIGIN', 'app.example.com'],
    ['CLIENT_AREA_ORIGIN', 'https://app.example.com/'],
    ['CLIENT_AREA_ORIGIN', 'https://app.example.com/keys'],
    ['CLIENT_AREA_ORIGIN', 'https://app.example.com:443'],
    ['CLIENT_AREA_ORIGIN', 'https://App.example.com'],
    ['CLIENT_AREA_ORIGIN', "https://app.example.com;script-src'unsafe-inline'"],
    ['CLIENT_AREA_ORIGIN', 'ftp://app.example.com'],
    ['CLIENT_AREA_ORIGIN', 'https://a.example,https://b.example'],
    ['CORS_ORIGINS', 'https://a.example,'],
    ['CORS_ORIGINS', 'https://a.example,*'],
    ['CORS_ORIGINS', 'https://a.example/'],
    ['CORS_ORIGINS', 'null'],
  ])('is refused with its name and what it may be: %s=%s', (name, value) => {
    const mistakes = mistakesIn({ [name]: value })
    expect(mistakes.length).toBeGreaterThan(0)
    for (const mistake of mistakes) {
      expect(mistake).toMatch(new RegExp(`^${name}: (It|Each key) must .+\\.$`))
      // What was given may be a secret.
      if (/SECRET|KEYS|_URL/.test(name)) expect(mistake).not.toContain(value)
    }
  })

  it('counts as not given where it is empty', () => {
    const names = [
      'NODE_ENV',
      'HOST',
      'PORT',
      'DATABASE_URL',
      'DATA_DIR',
      'REDIS_URL',
      'AUTH_JWKS_URL',
      'AUTH_SECRET',
      'AUTH_ISSUER',
      'AUTH_AUDIENCE',
      'AUTH_ACCOUNT_CLAIM',
      'KEY_ENCRYPTION_KEYS',
      'KEY_PREFIX',
      'DEFAULT_PLAN',
      'CATALOGUE',
      'LOG_LEVEL',
      'LIVE_INTERVAL_MS',
      'DATABASE_POOL_SIZE',
      'DATABASE_CONNECT_TIMEOUT_MS',
      'DATABASE_STATEMENT_TIMEOUT_MS',
      'METER_TIMEOUT_MS',
      'SHUTDOWN_DELAY_MS',
      'SHUTDOWN_TIMEOUT_MS',
      'GRAPHIQL',
      'CLIENT_AREA',
      'CLIENT_AREA_ORIGIN',
      'CORS_ORIGINS',
    ]
    expect(read(Object.fromEntries(names.map((name) => [name, ''])))).toEqual(read({}))
  })

  it('is not looked for among what others have set', () => {
    expect(read({ PATH: '/bin', port: 'x', LATCHKEY_PORT: 'x' })).toEqual(read({}))
  })

  it('cannot be changed once it is read', () => {
    expect(Object.isFrozen(read({}))).toBe(true)
  })
})

describe('mistakes in the settings', () => {
  it('are all told at once', () => {
    const mistakes = mistakesIn({
      NODE_ENV: 'production',
      PORT: 'x',
      KEY_PREFIX: 'X',
      GRAPHIQL: 'x',
      REDIS_URL: 'x',
    })
    expect(mistakes.map((mistake) => mistake.split(':')[0])).toEqual([
      'PORT',
      'REDIS_URL',
      'KEY_PREFIX',
      'GRAPHIQL',
      'AUTH_JWKS_URL or AUTH_SECRET',
    ])
  })

  it('are told one a line', () => {
    expect(() => read({ PORT: 'x', GRAPHIQL: 'x' })).toThrow(
      'The settings have mistakes:\n  PORT: It must be a whole number from 0 to 65535.\n  GRAPHIQL: It must be on or off.',
    )
  })
})

describe('production', () => {
  const nothingMadeUp = () => {
    throw new Error('Production makes up nothing.')
  }

  it('needs something to check tokens with', () => {
    expect(mistakesIn({ NODE_ENV: 'production' })).toEqual([
      'AUTH_JWKS_URL or AUTH_SECRET: One of them must be set in production, to check tokens with.',
    ])
    for (const auth of [{ AUTH_SECRET: 'x'.repeat(32) }, { AUTH_JWKS_URL: 'https://issuer.example/jwks' }])
      expect(readConfig({ NODE_ENV: 'production', ...auth }, nothingMadeUp).production).toBe(true)
  })

  it('shows secrets once where it is given nothing to keep them with', () => {
    expect(readConfig(production, nothingMadeUp).encryptionKeys).toEqual([])
  })

  it('has no client area unless it is asked for, and then needs to know its host', () => {
    expect(read(production).clientArea).toBe(false)
    expect(mistakesIn({ ...production, CLIENT_AREA: 'on' })).toEqual([
      'CLIENT_AREA_ORIGIN: It must be set with CLIENT_AREA=on in production, to the site that hands the page its token.',
    ])
    const embedded = { CLIENT_AREA: 'on', CLIENT_AREA_ORIGIN: 'https://app.example.com' }
    expect(read({ ...production, ...embedded })).toMatchObject({
      clientArea: true,
      clientAreaOrigin: 'https://app.example.com',
    })
  })

  it('has no explorer unless it is asked for', () => {
    expect([read(production).graphiql, read({ ...production, GRAPHIQL: 'on' }).graphiql]).toEqual([
      false,
      true,
    ])
  })
})

describe('development', () => {
  it('makes up what is not given, and nothing else', () => {
    const { auth, encryptionKeys } = read({})
    expect(auth.secret).toEqual(new TextEncoder().encode(madeUp.authSecret))
    expect(encryptionKeys).toEqual([{ kid: 'development', key: new Uint8Array(32).fill(1) }])
    expect(read({ AUTH_SECRET: 'x'.repeat(32) }).auth.secret).toEqual(new Uint8Array(32).fill(120))
    // A secret beside the issuer's keys would let in whoever can read the data directory.
    expect(read({ AUTH_JWKS_URL: 'https://issuer.example/jwks' }).auth.secret).toBeUndefined()
  })
})

describe('the keys that secrets are kept with', () => {
  it('are rotated by putting a new one in front', () => {
    expect(read({ KEY_ENCRYPTION_KEYS: `new:${key(2)}, old:${key(1)}` }).encryptionKeys).toEqual([
      { kid: 'new', key: new Uint8Array(32).fill(2) },
      { kid: 'old', key: new Uint8Array(32).fill(1) },
    ])
  })

  it('may be written in the base64 of URLs', () => {
    const encoded = Buffer.alloc(32, 0xfb).toString('base64url')
    expect(read({ KEY_ENCRYPTION_KEYS: `one:${encoded}` }).encryptionKeys[0]?.key).toEqual(
      new Uint8Array(32).fill(0xfb),
    )
  })
})
