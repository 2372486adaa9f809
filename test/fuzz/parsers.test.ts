import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from '../../src/config.ts'
import type { UsageMessage } from '../../src/domain/live-usage/event-bus.ts'
import type { Month } from '../../src/domain/month.ts'
import { limitSettings } from '../../src/limits.ts'
import { decode, encode, InvalidMessageError } from '../../src/messaging/wire-format.ts'
import { check, propertyTimeoutMs, seed } from './support/check.ts'
import { anyText, mutated } from './support/values.ts'

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const apiKey = fc.record({
  apiKeyId: anyText,
  calls: count,
  lastCallAt: fc.option(
    fc
      .date({ min: new Date(0), max: new Date('2999-12-31'), noInvalidDate: true })
      .map((at) => at.toISOString()),
  ),
})
const month = fc
  .tuple(fc.integer({ min: 1000, max: 2999 }), fc.integer({ min: 1, max: 12 }))
  .map(([year, number]) => `${year}-${String(number).padStart(2, '0')}` as Month)
const message: fc.Arbitrary<UsageMessage> = fc.oneof(
  fc.constant({ kind: 'changed' as const }),
  fc.constant({ kind: 'in doubt' as const }),
  fc.record({
    kind: fc.constant('counted' as const),
    month,
    account: fc.record({ calls: count, quota: fc.option(count) }),
    apiKeys: fc.array(apiKey, { maxLength: 5 }),
  }),
)
const envelope = fc.record({ from: anyText, message })

/** Names of settings, and texts that look like values of one. */
const names = [
  ...[
    'NODE_ENV',
    'HOST',
    'PORT',
    'DATABASE_URL',
    'DATABASE_POOL_SIZE',
    'DATA_DIR',
    'REDIS_URL',
    'REDIS_PREFIX',
  ],
  ...['AUTH_JWKS_URL', 'AUTH_SECRET', 'AUTH_ISSUER', 'AUTH_AUDIENCE', 'KEY_ENCRYPTION_KEYS', 'KEY_PREFIX'],
  ...['LOG_LEVEL', 'LIVE_INTERVAL_MS', 'METER_TIMEOUT_MS', 'SHUTDOWN_DELAY_MS', 'SHUTDOWN_TIMEOUT_MS'],
  ...['GRAPHIQL', 'CLIENT_AREA', 'CLIENT_AREA_ORIGIN', 'CORS_ORIGINS', 'DEFAULT_PLAN', 'CATALOGUE'],
  ...Object.values(limitSettings).map(({ setting }) => setting),
]
const likelyValues = [
  ...[
    '',
    ' ',
    '0',
    '1',
    '-1',
    '1e3',
    '10',
    '1000',
    '1_000',
    '٣',
    '99999999999999999999',
    'on',
    'off',
    'production',
  ],
  ...[
    'postgres://a:b@h:5/d',
    'postgres://%',
    'redis://%zz@h',
    'redis://[::1]:6379',
    'http://',
    'https://a.b/c',
  ],
  ...[
    'https://a.example',
    '*',
    'https://a.example,,',
    'null',
    'lk',
    'LK',
    'x'.repeat(32),
    `k:${'A'.repeat(43)}`,
  ],
  ...['k:A,k:A', 'debug', 'https://[', 'https://a.example:443', '__proto__', 'constructor'],
]
const setting = fc.oneof(
  fc.constantFrom(...likelyValues),
  fc.constantFrom(...likelyValues).chain(mutated),
  fc.integer().map(String),
  anyText,
)
const environment = fc.dictionary(
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: anyText }),
  setting,
)

describe(`parsers of what comes from outside (FUZZ_SEED=${seed})`, () => {
  it(
    'a message between servers arrives as it was sent',
    () => check(envelope, 300, (sent) => expect(decode(encode(sent))).toEqual(sent)),
    propertyTimeoutMs,
  )

  it(
    'what is not a message is refused with InvalidMessageError and nothing else',
    () => {
      const texts = fc.oneof(envelope.map(encode).chain(mutated), fc.json(), anyText)
      return check(texts, 1_000, (text) => {
        try {
          const { from, message } = decode(text)
          expect([typeof from, ['counted', 'changed', 'in doubt'].includes(message.kind)]).toEqual([
            'string',
            true,
          ])
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidMessageError)
        }
      })
    },
    propertyTimeoutMs,
  )

  it(
    'settings are read, or refused with a ConfigError that names them',
    () => {
      const secrets = () => ({
        authSecret: 'x'.repeat(32),
        encryptionKey: Buffer.alloc(32).toString('base64'),
      })
      return check(environment, 1_000, (given) => {
        try {
          const { port, limits } = readConfig(given, secrets)
          expect(Number.isInteger(port) && port >= 0 && port <= 65_535).toBe(true)
          for (const [name, { least, most }] of Object.entries(limitSettings)) {
            const value = limits[name as keyof typeof limits]
            expect([name, Number.isInteger(value) && value >= least && value <= most]).toEqual([name, true])
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
          for (const mistake of (error as ConfigError).mistakes)
            expect(mistake).toMatch(/^[A-Z_]+( or [A-Z_]+)?: /)
        }
      })
    },
    propertyTimeoutMs,
  )
})
