import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { TestProject } from 'vitest/node'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { developmentSecrets } from '../../src/development.ts'
import { createLogger } from '../../src/log.ts'
import { isReachable, postgresUrl, redisUrl } from './services.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Whether there are tests of the embedded database in the run, and not just where there is no PostgreSQL. */
    testsEmbedded: boolean
    /** A data directory of the embedded database, migrated and seeded, for each test to copy. */
    templateDir: string
    /** The file that every server of the test run logs to. */
    logFile: string
    /** The file that every secret issued in the test run is written to. */
    issuedSecretsFile: string
    postgres: boolean
    redis: boolean
  }
}

/**
 * Prepares what all test files share, and at the end holds the whole run to G7: none of the secrets that were
 * issued stands in the log.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'))
  const logFile = join(directory, 'log.jsonl')
  const issuedSecretsFile = join(directory, 'issued-secrets')
  const templateDir = join(directory, 'template')

  const postgres = await isReachable(postgresUrl, 5432)
  const redis = await isReachable(redisUrl, 6379)
  for (const [name, reachable] of Object.entries({ PostgreSQL: postgres, Redis: redis })) {
    if (reachable) continue
    if (process.env.REQUIRE_SERVICES) throw new Error(`${name} is required, and not reachable.`)
    process.stdout.write(`\n  ${name} is not reachable: the tests that need it are LEFT OUT.\n\n`)
  }
  // It takes longer than all else that is done here.
  if (!postgres || project.getProvidedContext().testsEmbedded) await makeTemplate(templateDir)
  project.provide('templateDir', templateDir)
  project.provide('logFile', logFile)
  project.provide('issuedSecretsFile', issuedSecretsFile)
  project.provide('postgres', postgres)
  project.provide('redis', redis)

  return async () => {
    await expectNoSecretInLog(logFile, issuedSecretsFile)
    await rm(directory, { recursive: true, force: true })
  }
}

async function makeTemplate(templateDir: string): Promise<void> {
  // As for the workers in vitest.config.ts: this is the process that they are started by.
  setFlagsFromString('--liftoff-only')
  const config = readConfig({ DATA_DIR: templateDir, PORT: '0', LOG_LEVEL: 'warn' }, developmentSecrets)
  const app = await createApp({ config, log: createLogger('warn') })
  await app.stop()
}

async function expectNoSecretInLog(logFile: string, issuedSecretsFile: string): Promise<void> {
  const log = await readFile(logFile, 'utf8').catch(() => '')
  const secrets = await readFile(issuedSecretsFile, 'utf8').catch(() => '')
  const leaked = secrets.split('\n').filter((secret) => secret !== '' && log.includes(secret))
  if (leaked.length > 0)
    throw new Error(`${leaked.length} issued secrets or tokens stand in the log of the test run.`)
}
