import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/**
 * Properties on random input, tests at random moments with many repetitions, and tests that `npm test` runs on one of two
 * databases. They run separately, so that the other tests stay fast.
 */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: [
        'test/fuzz/**/*.test.ts',
        'test/durability.test.ts',
        'test/simulation/*.test.ts',
        // These run on one database in `npm test`.
        'test/schema/{account-changes,catalogue,describe-secret,key-restrictions,keys,operator-keys,restricted-calls,rotation}.test.ts',
      ],
      provide: { testsEmbedded: true, thorough: true },
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
