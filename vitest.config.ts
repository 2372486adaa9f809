import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Vite would take graphql's ES module where Node.js takes its CommonJS one, and the two copies do not know
  // each other's classes.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each file starts servers and databases of its own; more at once than this only get in each other's way.
    maxWorkers: 2,
    // Files share what they import, which takes longer than many of them do; they share no state by it.
    isolate: false,
    // V8 would compile PGlite a second time for speed, which takes longer than most tests last.
    execArgv: ['--liftoff-only'],
  },
})
