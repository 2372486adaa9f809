import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mintToken } from '../src/development.ts'
import {
  copyTemplate,
  createStorage,
  noteSecrets,
  quickestDatabase,
  type TestStorage,
} from './support/app.ts'
import { post } from './support/http.ts'
import { refusalToStart, type ServerProcess, startServerProcess } from './support/server-process.ts'

const authSecret = 'a secret of production that has enough bytes'
const secretsFile = 'development-secrets.json'
const running = new Set<ServerProcess>()
let dataDir: string
let storage: TestStorage | undefined

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'latchkey-main-'))
})
afterEach(async () => {
  for (const server of running) await end(server, 'SIGKILL')
  await storage?.drop()
  storage = undefined
  await rm(dataDir, { recursive: true, force: true })
})

async function start(environment: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await startServerProcess({ DATA_DIR: dataDir, ...environment })
  running.add(server)
  return server
}

async function end(server: ServerProcess, signal: NodeJS.Signals) {
  running.delete(server)
  server.kill(signal)
  return await server.exited
}

/** A seeded database starts faster. */
const useTemplate = () => copyTemplate(dataDir)
/** Settings for a database, where it does not matter which. */
async function anyDatabase(): Promise<Record<string, string>> {
  storage = await createStorage(quickestDatabase)
  return storage.environment
}
const production = { NODE_ENV: 'production', AUTH_SECRET: authSecret }

async function ask(server: ServerProcess, query: string, token: string) {
  const { status, data } = await post(server, { query }, { authorization: `Bearer ${token}` })
  expect(status).toBe(200)
  return data
}

describe('in development, the process', () => {
  it('starts in an empty directory, prints working tokens, and keeps the secrets it generates private', async () => {
    dataDir = join(dataDir, 'made by the server')
    const server = await start()
    const tokenOf = (role: string) =>
      noteSecrets(new RegExp(`${role} +(ey\\S+)`).exec(server.output())?.[1] ?? '')
    await expect.poll(() => tokenOf('operator')).not.toBe('')
    expect(
      await ask(server, '{ account { externalId apiKeys { totalCount } } }', tokenOf('customer')),
    ).toEqual({
      account: { externalId: 'demo', apiKeys: { totalCount: 2 } },
    })
    expect(await ask(server, '{ accounts { totalCount } }', tokenOf('operator'))).toEqual({
      accounts: { totalCount: 1 },
    })
    const session = await fetch(`${server.url}/client-area/session`)
    const { mode, token } = await session.json()
    expect([mode, await ask(server, '{ account { name } }', noteSecrets(token))]).toEqual([
      'development',
      { account: { name: 'Demo customer' } },
    ])
    const { exp = 0, iat = 0 } = decodeJwt(token)
    expect(exp - iat).toBe(15 * 60)
    const meter = 'mutation { meterApiCall(input: { secret: "x", apiCall: "v3.ping" }) { code } }'
    expect(await ask(server, meter, tokenOf('gateway'))).toEqual({ meterApiCall: { code: 'KEY_INVALID' } })
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
    expect([await modeOf(dataDir), await modeOf(join(dataDir, secretsFile))]).toEqual(['700', '600'])
    expect(await end(server, 'SIGINT')).toBe(0)
  })

  it('accepts the tokens of its last start after kill -9, and starts again in the same directory', async () => {
    await useTemplate()
    const first = await start()
    await expect.poll(() => first.output()).toContain('operator')
    const token = noteSecrets(/customer +(ey\S+)/.exec(first.output())?.[1] ?? '')
    expect(await end(first, 'SIGKILL')).toBe('SIGKILL')
    const second = await start()
    expect(await ask(second, '{ viewer { subject } }', token)).toEqual({
      viewer: { subject: 'demo-customer' },
    })
    expect(await end(second, 'SIGTERM')).toBe(0)
  })
})

describe('in production, the process', () => {
  it('generates no secrets, seeds no demo, hides the schema, and logs lines of JSON', async () => {
    const environment = await anyDatabase()
    await rm(join(environment.DATA_DIR ?? '', secretsFile), { force: true })
    const server = await start({ ...production, ...environment })
    const auth = { secret: new TextEncoder().encode(authSecret), accountClaim: 'account' }
    const token = noteSecrets(
      await mintToken(auth, { subject: 'tester', scopes: ['admin'], account: 'a customer' }),
    )
    expect(await ask(server, '{ accounts { totalCount } }', token)).toEqual({ accounts: { totalCount: 1 } })
    const secrets = '{ account { externalId apiKeys { nodes { secret } } } }'
    expect(await ask(server, secrets, token)).toEqual({
      // Nobody would ever see the secret of a key that was created with the account.
      account: { externalId: 'a customer', apiKeys: { nodes: [] } },
    })
    for (const query of ['{ __schema { queryType { name } } }', '{ __type(name: "Query") { name } }'])
      for (const [headers, code] of [
        [{ authorization: `Bearer ${token}` }, 'BAD_USER_INPUT'],
        [{}, 'UNAUTHENTICATED'],
      ] as const)
        expect((await post(server, { query }, headers)).errors?.[0]?.extensions.code).toBe(code)
    expect(await pageAt(server)).not.toMatch(/<html/i)
    for (const path of ['/', '/client-area/session', '/client-area/latchkey-keys.js'])
      expect((await fetch(`${server.url}${path}`)).status).toBe(404)
    expect(await end(server, 'SIGTERM')).toBe(0)
    for (const line of server.output().split('\n')) expect(() => JSON.parse(line), line).not.toThrow()
    expect(await readdir(environment.DATA_DIR ?? '')).not.toContain(secretsFile)
  })

  it('shows GraphiQL, without tokens in it, and the schema with GRAPHIQL=on', async () => {
    const server = await start({ ...production, ...(await anyDatabase()), GRAPHIQL: 'on' })
    const page = await pageAt(server)
    expect(page).toMatch(/<html/i)
    expect(page).not.toMatch(/eyJ[\w-]+\.[\w-]+\./)
    const { data } = await post(server, { query: '{ __schema { queryType { name } } }' })
    expect(data).toEqual({ __schema: { queryType: { name: 'Query' } } })
  })

  async function pageAt(server: ServerProcess): Promise<string> {
    return await (await fetch(`${server.url}/graphql`, { headers: { accept: 'text/html' } })).text()
  }
})

describe('the process refuses to start, with a clear message,', () => {
  it('if settings are wrong, with exit code 78 and every mistake named', async () => {
    const { exitCode, output } = await refusalToStart({
      NODE_ENV: 'production',
      DATA_DIR: join(dataDir, 'none'),
      PORT: 'http',
      KEY_PREFIX: 'Not A Prefix',
      DATABASE_URL: 'mysql://localhost',
      LOG_LEVEL: 'loud',
      AUTH_SECRET: '',
    })
    expect(exitCode).toBe(78)
    for (const name of ['PORT', 'KEY_PREFIX', 'DATABASE_URL', 'LOG_LEVEL', 'AUTH_JWKS_URL or AUTH_SECRET'])
      expect(output).toContain(`  ${name}: `)
    expect(output).not.toMatch(/^\s+at /m)
    expect(await readdir(dataDir)).toEqual([])
  })

  it('if another process uses the data directory', async () => {
    await useTemplate()
    const server = await start()
    const { exitCode, output } = await refusalToStart({ DATA_DIR: dataDir })
    expect([exitCode, output]).toEqual([
      1,
      `The data directory ${dataDir} is in use by another Latchkey process. Stop that one, or give this one another DATA_DIR.`,
    ])
    expect((await fetch(`${server.url}/ready`)).status).toBe(200)
  })

  it('if the port is in use', async () => {
    const environment = await anyDatabase()
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = String(typeof address === 'object' ? address?.port : 0)
    const { exitCode, output } = await refusalToStart({ ...environment, PORT: port, LOG_LEVEL: 'warn' })
    other.close()
    expect([exitCode, output]).toEqual([
      1,
      `Port ${port} on 127.0.0.1 is in use. Stop the process that uses it, or set PORT to another port.`,
    ])
  })
})
