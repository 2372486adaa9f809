import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { createApp } from '../src/app.ts'
import { type Config, readConfig } from '../src/config.ts'
import { developmentSecrets } from '../src/development.ts'
import { createLogger } from '../src/log.ts'
import { refusalOf } from '../src/run.ts'
import { createStorage, quickestDatabase, type TestStorage } from './support/app.ts'
import { postgresUrl } from './support/services.ts'

const thisFile = fileURLToPath(import.meta.url)
const packageFile = fileURLToPath(new URL('../package.json', import.meta.url))
const given = {
  PORT: '0',
  LOG_LEVEL: 'warn',
  AUTH_SECRET: 'a secret of production that has enough bytes',
  KEY_ENCRYPTION_KEYS: `test:${Buffer.alloc(32, 1).toString('base64')}`,
}

let dataDir: string
let storage: TestStorage | undefined

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'latchkey-run-'))
  storage = undefined
})
afterEach(async () => {
  await storage?.drop()
  await rm(dataDir, { recursive: true, force: true })
})

/** The refusal of a start with these settings. It must have no stack trace: that is for unknown reasons. */
async function refusalOfStart(environment: Record<string, string>) {
  let config: Config | undefined
  let refusal: ReturnType<typeof refusalOf>
  try {
    config = readConfig({ ...given, DATA_DIR: dataDir, ...environment }, developmentSecrets)
    const app = await createApp({ config, log: createLogger(config.logLevel) })
    await app.stop()
    throw new Error('The server did start.')
  } catch (error) {
    refusal = refusalOf(error, config)
  }
  expect(refusal.message).not.toMatch(/^\s+at /m)
  return refusal
}

describe('a start is refused with a clear message', () => {
  it.each([
    [
      'a DEFAULT_PLAN that does not exist',
      { DEFAULT_PLAN: 'none' },
      78,
      'DEFAULT_PLAN: there is no plan "none" in the database.',
    ],
    ['an invalid HOST', { HOST: 'no host at all' }, 1, 'Latchkey cannot listen on no host at all, port 0: '],
    ['a CATALOGUE that does not exist', { CATALOGUE: '/none.json' }, 78, 'CATALOGUE: /none.json '],
    ['a CATALOGUE without plans', { CATALOGUE: packageFile }, 78, `CATALOGUE: ${packageFile} `],
  ])('for %s', async (_, environment, exitCode, message) => {
    // An empty database: a seeded one needs no catalogue.
    storage =
      'CATALOGUE' in environment && !inject('postgres') ? undefined : await createStorage(quickestDatabase)
    const refusal = await refusalOfStart({ ...storage?.environment, ...environment })
    expect(refusal).toEqual({ exitCode, message: expect.stringContaining(message) })
  })

  it('if DATA_DIR is a file', async () => {
    expect(await refusalOfStart({ DATA_DIR: thisFile })).toEqual({
      exitCode: 1,
      message: expect.stringContaining(`The data directory ${thisFile} cannot be used: `),
    })
  })

  it('if development secrets cannot be stored', async () => {
    expect(await refusalOfStart({ DATA_DIR: thisFile, AUTH_SECRET: '' })).toEqual({
      exitCode: 78,
      message: expect.stringContaining('DATA_DIR: Cannot read or store the development secrets there: '),
    })
  })

  it.each(['{', '{}'])('if the development secrets are damaged: %s', async (secrets) => {
    const file = join(dataDir, 'development-secrets.json')
    await writeFile(file, secrets)
    expect(await refusalOfStart({ AUTH_SECRET: '' })).toEqual({
      exitCode: 78,
      message: expect.stringContaining(file),
    })
  })

  it('if the database does not answer, without revealing the password', async () => {
    const DATABASE_URL = 'postgres://latchkey:a-password@127.0.0.1:1/latchkey'
    const { exitCode, message } = await refusalOfStart({ DATABASE_URL })
    expect(exitCode).toBe(1)
    expect(message).toMatch(/^The database in DATABASE_URL cannot be reached: /)
    expect(message).not.toContain('a-password')
  })

  it.runIf(inject('postgres'))('if the database refuses the parameters in DATABASE_URL', async () => {
    const url = new URL(postgresUrl)
    url.searchParams.set('options', '-c nothing=1')
    expect(await refusalOfStart({ DATABASE_URL: url.href })).toEqual({
      exitCode: 1,
      message: expect.stringContaining('The database in DATABASE_URL cannot be reached: '),
    })
  })
})

it('a start that fails for an unknown reason ends with the stack trace', () => {
  const error = new Error('a defect')
  expect(refusalOf(error, undefined)).toEqual({
    exitCode: 1,
    message: `Latchkey could not start. ${error.stack}`,
  })
})
