import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes, demoAccount, seedDemoAccount } from '../../src/development.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { AccountOverview, RegenerateApiKey } from '../support/operations.ts'

const tool = fileURLToPath(new URL('../../dist/tools/traffic.js', import.meta.url))

const started: ChildProcess[] = []

/** Runs the built tool against a server, with the server's secret. */
function startTraffic(app: TestApp, options: string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [tool, '--url', app.url, ...options], {
    env: {
      PATH: process.env.PATH,
      AUTH_SECRET: new TextDecoder().decode(app.config.auth.secret),
      DATA_DIR: app.config.dataDir,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  return { child, lines, ended: endOf(child, lines) }
}

async function endOf(child: ChildProcess, lines: string[]) {
  const [exitCode] = await once(child, 'close')
  return { exitCode, output: lines.join('\n') }
}

/** The counts in the summary, by name. */
function countsIn(output: string): Record<string, number> {
  const rows = output.matchAll(/^ {2}(\S.*?) {2,}([\d,]+)$/gm)
  const sent = /^([\d,]+) calls in /m.exec(output)?.[1] ?? ''
  return Object.fromEntries(
    [['sent', sent], ...[...rows].map(([, name = '', count = '']) => [name, count])].map(([name, count]) => [
      name,
      Number(String(count).replaceAll(',', '')),
    ]),
  )
}

describe('npm run traffic', () => {
  let app: TestApp
  let token: string

  beforeAll(async () => {
    app = await startApp()
    await seedDemoAccount(app.services)
    token = await app.token({ account: demoAccount, scopes: customerScopes })
  })
  // A failed test may leave one running.
  afterEach(() => started.splice(0).forEach((child) => void child.kill('SIGKILL')))
  afterAll(() => app.stop())

  const account = async () => {
    const { data } = await app.query(AccountOverview, { as: token })
    if (!data.account) throw new Error('no demo account')
    return data.account
  }

  it('sends the requested number of calls, and its totals match the account’s', async () => {
    const { usage: before } = await account()
    const { exitCode, output } = await startTraffic(app, ['--rate', '150', '--duration', '2']).ended
    expect(exitCode, output).toBe(0)
    const { sent, ...counts } = countsIn(output)
    expect(sent).toBe(300)
    expect(Object.keys(counts)).toEqual([
      'ADMITTED',
      'QUOTA_EXCEEDED',
      'ACCESS_DENIED',
      'KEY_INVALID',
      'API_CALL_UNKNOWN',
    ])
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(300)
    const { usage, apiKeys } = await account()
    expect(counts.ADMITTED).toBe(usage.calls - before.calls)
    for (const { usage: keyUsage, secret } of apiKeys.nodes) {
      expect(keyUsage.calls).toBeGreaterThan(0)
      expect(output).not.toContain(secret)
    }
  })

  it('picks up a re-generated key, and ends with a summary on Ctrl+C', async () => {
    const traffic = startTraffic(app, ['--rate', '50'])
    const [key] = (await account()).apiKeys.nodes
    if (!key) throw new Error('no key')
    const callsOfKey = async () =>
      (await account()).apiKeys.nodes.find(({ id }) => id === key.id)?.usage.calls
    await expect.poll(callsOfKey, { timeout: 10_000 }).toBeGreaterThan(key.usage.calls)
    await app.query(RegenerateApiKey, { as: token, variables: { id: key.id } })
    const counted = (await callsOfKey()) ?? 0
    await expect.poll(callsOfKey, { timeout: 10_000 }).toBeGreaterThan(counted + 20)
    traffic.child.kill('SIGINT')
    const { exitCode, output } = await traffic.ended
    expect(exitCode, output).toBe(0)
    expect(output).toMatch(/^\d+ s {2}\d+ sent {2}\d+ ADMITTED.* \d+\/s {2}p50 [\d.]+ ms {2}p99 [\d.]+ ms$/m)
    expect(countsIn(output).KEY_INVALID).toBeGreaterThan(0)
  })

  it('says what to do if it cannot start', async () => {
    const refused = startTraffic(app, [], { AUTH_SECRET: 'not the secret that the server runs with' })
    expect(await refused.ended).toEqual({
      exitCode: 1,
      output: expect.stringMatching(/refuses the token.* DATA_DIR/),
    })
    const nothingThere = startTraffic({ ...app, url: 'http://127.0.0.1:1' }, [])
    expect(await nothingThere.ended).toEqual({
      exitCode: 1,
      output: expect.stringMatching(/No server answers at http:\/\/127\.0\.0\.1:1\./),
    })
    const mistaken = startTraffic(app, ['--rate', 'fast'])
    expect(await mistaken.ended).toEqual({ exitCode: 2, output: expect.stringMatching(/--rate must be/) })
  })

  it('says so if the server cannot show secrets again', async () => {
    const environment = { NODE_ENV: 'production', KEY_ENCRYPTION_KEYS: '' }
    const shownOnce = await startApp({ environment })
    const { accounts, keys } = shownOnce.services
    const accountId = await accounts.findOrCreate('demo')
    await keys.add(accountId, null, { mode: 'FULL' })
    const { exitCode, output } = await startTraffic(shownOnce, []).ended
    expect(output).toMatch(/cannot show the secrets of this account/)
    expect(exitCode).toBe(1)
    await shownOnce.stop()
  })
})
