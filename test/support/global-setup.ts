import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { TestProject } from 'vitest/node'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { developmentSecrets } from '../../src/development.ts'
import { createLogger } from '../../src/log.ts'
import { findLeaks } from './leaks.ts'
import { isReachable, postgresUrl, redisUrl } from './services.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Whether the run tests the embedded database even where there is PostgreSQL. */
    testsEmbedded: boolean
    /** Whether tests at random moments repeat themselves often. The run on random input does. */
    thorough: boolean
    /** A migrated and seeded data directory of the embedded database, for tests to copy. */
    templateDir: string
    /**
     * The file that every server in the test run logs to: those within a test unredacted, server processes with what
     * they wrote to standard output.
     */
    logFile: string
    /** The file that lists every secret and token issued in the test run. */
    issuedSecretsFile: string
    postgres: boolean
    redis: boolean
  }
}

/** Prepares what all test files share. At the end of the run it fails if any server logged a secret (G7). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'))
  const logFile = join(directory, 'log.jsonl')
  const issuedSecretsFile = join(directory, 'issued-secrets')
  const templateDir = join(directory, 'template')

  const postgres = await isReachable(postgresUrl, 5432)
  const redis = await isReachable(redisUrl, 6379)
  for (const [name, reachable] of Object.entries({ PostgreSQL: postgres, Redis: redis })) {
    if (reachable) continue
    if (process.env.REQUIRE_SERVICES) throw new Error(`REQUIRE_SERVICES is set and ${name} is not reachable.`)
    process.stdout.write(`\n  ${name} is not reachable: SKIPPING the tests that need it.\n\n`)
  }
  // This takes longer than everything else here.
  if (!postgres || project.getProvidedContext().testsEmbedded) await makeTemplate(templateDir)
  project.provide('templateDir', templateDir)
  project.provide('logFile', logFile)
  project.provide('issuedSecretsFile', issuedSecretsFile)
  project.provide('postgres', postgres)
  project.provide('redis', redis)

  return async () => {
    try {
      expectNoSecretInLog(logFile, issuedSecretsFile)
    } catch (error) {
      // Vitest prints what a teardown throws, and passes the run all the same.
      process.exitCode = 1
      throw error
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }
}

async function makeTemplate(templateDir: string): Promise<void> {
  // As in vitest.config.ts for the workers; this runs in their parent process.
  setFlagsFromString('--liftoff-only')
  const config = readConfig({ DATA_DIR: templateDir, PORT: '0', LOG_LEVEL: 'warn' }, developmentSecrets)
  const app = await createApp({ config, log: createLogger('warn') })
  await app.stop()
}

function expectNoSecretInLog(logFile: string, issuedSecretsFile: string): void {
  // A run of unit tests alone starts no server and issues no secret.
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  const [log, issued] = [read(logFile), read(issuedSecretsFile)]
  const leaks = findLeaks(log, [...new Set(issued.split('\n'))].filter(Boolean))
  if (leaks.length > 0)
    throw new Error(
      `The log has ${leaks.length} line(s) with a secret or token:\n${leaks.slice(0, 20).join('\n')}`,
    )
}
