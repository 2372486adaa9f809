import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/** The client area in a browser: apart from the other tests, which stay quick. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/client-area/**/*.test.ts'],
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
