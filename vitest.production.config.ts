import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/** Many servers, and everything that goes wrong with them: `npm run test:production`. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/production/**/*.test.ts'],
      // Each file loads the machine with several servers, and some measure how soon they answer.
      fileParallelism: false,
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
