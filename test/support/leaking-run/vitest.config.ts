import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from '../../../vitest.config.ts'

/** A test run whose only test passes, and leaks a secret. */
export default mergeConfig(
  shared,
  defineConfig({ test: { root: '.', include: ['test/support/leaking-run/leak.ts'] } }),
)
