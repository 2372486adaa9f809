import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

/** The simulation of decisions, for longer than in `npm test`: STEPS and SEED repeat a run. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/simulation/decisions.test.ts'],
      env: { STEPS: process.env.STEPS ?? '100000' },
      hookTimeout: 60_000,
    },
  }),
)
