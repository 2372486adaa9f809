import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/** Properties on random input. They run separately, so that the other tests stay fast. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/fuzz/**/*.test.ts'],
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
