import { defineConfig, mergeConfig } from 'vitest/config'
import { shared } from './vitest.config.ts'

const files = (...names: string[]) => names.map((name) => `test/production/${name}.test.ts`)

/** Files that mostly wait while a dependency is away. */
const faults = files(
  'durability-settings',
  'pgbouncer',
  'postgres-outage',
  'ready',
  'redis-outage',
  'tls',
  'stop-while-starting',
)

/** Tests of several servers under load and during failures: `npm run test:production`. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      projects: [
        { extends: true, test: { name: 'faults', include: faults, sequence: { groupOrder: 1 } } },
        {
          extends: true,
          test: {
            name: 'load',
            include: files('*'),
            exclude: faults,
            // Each file loads the machine with several servers and measures them, so files must not run side by side.
            maxWorkers: 1,
            sequence: { groupOrder: 2 },
          },
        },
      ],
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  }),
)
