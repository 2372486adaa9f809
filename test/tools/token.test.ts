import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { developmentSecrets } from '../../src/development.ts'
import { noteSecrets, startApp, type TestApp } from '../support/app.ts'

const toolFile = (name: string) => fileURLToPath(new URL(`../../dist/tools/${name}.js`, import.meta.url))

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'latchkey-token-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

interface Result {
  exitCode: number
  stdout: string
  stderr: string
}

/** Runs a built tool with this environment and no other settings. */
function run(tool: string, options: string[], environment: Record<string, string>): Promise<Result> {
  const env = { PATH: process.env.PATH, DATA_DIR: dataDir, ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [toolFile(tool), ...options], { env }, (error, stdout, stderr) =>
      resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

describe('npm run token', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp()
  })
  afterAll(() => app.stop())

  async function viewerOf(stdout: string) {
    const { data } = await app.query<{ viewer: unknown }, never>(
      '{ viewer { subject scopes account { externalId } } }',
      { as: noteSecrets(stdout.trim()) },
    )
    return data.viewer
  }

  it('prints a token that the server with this AUTH_SECRET accepts, and creates no secrets', async () => {
    const AUTH_SECRET = new TextDecoder().decode(app.config.auth.secret)
    const options = ['--account', 'acme', '--scope', 'keys:read', '--subject', 'ann']
    const { exitCode, stdout, stderr } = await run('token', options, { AUTH_SECRET })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(await viewerOf(stdout)).toEqual({
      subject: 'ann',
      scopes: ['keys:read'],
      account: { externalId: 'acme' },
    })
    expect(await readdir(dataDir)).toEqual([])
  })

  it('signs with the development secret in DATA_DIR', async () => {
    const { authSecret } = developmentSecrets(dataDir)
    const server = await startApp({ environment: { AUTH_SECRET: authSecret } })
    const { exitCode, stdout } = await run('token', [], {})
    expect(exitCode).toBe(0)
    const { data } = await server.query<{ viewer: { subject: string } }, never>('{ viewer { subject } }', {
      as: noteSecrets(stdout.trim()),
    })
    await server.stop()
    expect(data).toEqual({ viewer: { subject: 'developer' } })
  })

  it('says in --help that the secret must be the server’s', async () => {
    const { exitCode, stdout } = await run('token', ['--help'], {})
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/AUTH_SECRET or DATA_DIR must be the one the server runs with/)
  })

  it('explains an unknown scope or option, with exit code 2', async () => {
    for (const [options, message] of [
      [['--scope', 'keys:all'], 'Unknown scope: keys:all.'],
      [['--acount', 'x'], "Unknown option '--acount'"],
    ] as const) {
      const { exitCode, stderr } = await run('token', [...options], { AUTH_SECRET: 'x'.repeat(32) })
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
    }
  })
})

describe.each(['token', 'traffic'])('npm run %s', (tool) => {
  it('never invents a secret: without one it says what to do, and writes nothing', async () => {
    for (const directory of [dataDir, join(dataDir, 'missing')]) {
      expect(await run(tool, [], { DATA_DIR: directory })).toEqual({
        exitCode: 78,
        stdout: '',
        stderr:
          `DATA_DIR (${directory}) holds no development secrets and AUTH_SECRET is not set, so there is no ` +
          'secret to sign tokens with. Start the server with this DATA_DIR first, or set DATA_DIR or ' +
          'AUTH_SECRET to the value that the server runs with.\n',
      })
    }
    expect(await readdir(dataDir)).toEqual([])
  })

  it('says that tokens come from the issuer where AUTH_JWKS_URL is set', async () => {
    const { exitCode, stderr } = await run(tool, [], { AUTH_JWKS_URL: 'https://login.example.com/jwks' })
    expect([exitCode, stderr]).toEqual([78, expect.stringContaining('Get tokens from your issuer.')])
    expect(await readdir(dataDir)).toEqual([])
  })
})
