import { defineConfig, mergeConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What takes longest is begun first: begun last, it would be left over for one worker alone. */
class LongestFirst extends BaseSequencer {
  static readonly longest =
    /\/(durability|main|graphiql|simulation|document-limits|traffic|looks|robustness)\.test\.ts$/

  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => LongestFirst.longest.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

/** What all test runs have in common. */
export const shared = defineConfig({
  // Vite would take graphql's ES module where Node.js takes its CommonJS one, and the two copies do not know
  // each other's classes.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    globalSetup: 'test/support/global-setup.ts',
    // Files share what they import, which takes longer than many of them do; they share no state by it.
    isolate: false,
    // V8 would compile PGlite a second time for speed, which takes longer than most tests last.
    execArgv: ['--liftoff-only'],
    // Each file starts servers, databases and browsers of its own, which get in each other's way.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    provide: { testsEmbedded: false },
  },
})

export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['test/**/*.test.ts'],
      // They have runs of their own: npm run test:client-area, npm run test:production.
      exclude: ['test/client-area/**', 'test/production/**'],
      // Some of these wait for what takes its time; one more makes use of it.
      maxWorkers: 3,
      testTimeout: 30_000,
      hookTimeout: 30_000,
      provide: { testsEmbedded: true },
    },
  }),
)
