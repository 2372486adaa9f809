import { defineConfig, mergeConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Starts the slowest files first. Started last, they would keep one worker busy after the others have finished. */
class LongestFirst extends BaseSequencer {
  static readonly longest =
    /\/(document-limits|durability|jwks|log|log-output|looks|main|migrate|readme-gateway|robustness|simulation|sse|traffic)\.test\.ts$/

  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => LongestFirst.longest.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

/** The settings that all test runs share. */
export const shared = defineConfig({
  // Vite would load graphql's ES module where Node.js loads its CommonJS module, and each copy rejects the other's
  // classes.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    globalSetup: 'test/support/global-setup.ts',
    // Files share the modules that they import, because loading those takes longer than many files run. They share no
    // state through them.
    isolate: false,
    // Otherwise V8 compiles PGlite a second time to optimize it, which takes longer than most tests.
    execArgv: ['--liftoff-only'],
    // Each file starts its own servers, databases and browsers, which compete for the CPU.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    provide: { testsEmbedded: false, thorough: false },
  },
})

export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/**/*.test.ts'],
      // These have their own runs: npm run test:client-area, test:production and test:fuzz.
      exclude: [
        ...['test/client-area/**', 'test/pages/graphiql.test.ts', 'test/production/**'],
        ...['test/fuzz/**', 'test/durability.test.ts', 'test/simulation/simulation.test.ts'],
      ],
      // Some of these files mostly wait, which leaves CPU time for two more workers.
      maxWorkers: 4,
      testTimeout: 30_000,
      hookTimeout: 30_000,
      provide: { testsEmbedded: true },
    },
  }),
)
