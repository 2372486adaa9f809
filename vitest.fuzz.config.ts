import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/**
 * Properties on random input, and tests at random moments with many repetitions. They run separately, so that the other
 * tests stay fast.
 */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/fuzz/**/*.test.ts', 'test/durability.test.ts', 'test/simulation/*.test.ts'],
      provide: { testsEmbedded: true, thorough: true },
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
