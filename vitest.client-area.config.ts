import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/** Tests of the client area and of GraphiQL in a browser. They run separately, so that the other tests stay fast. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/client-area/**/*.test.ts', 'test/pages/graphiql.test.ts'],
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
