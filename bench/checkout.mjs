import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { databaseOf } from './contenders/database.mjs'
import { delay } from './load/stats.mjs'

// Runs a checkout of any version as a black box: it relies on dist/main.js, on settings in the environment, on the
// `listening` line of the log and on the GraphQL API, and imports nothing from the checkout.

const authSecret = 'a secret that only the bench uses'
const startMs = 60_000

/** @throws if the checkout in `directory` is not installed and built */
export function assertBuilt(directory) {
  for (const file of ['package.json', 'node_modules', 'dist/main.js']) {
    if (!existsSync(join(directory, file)))
      throw new Error(
        `${resolve(directory)} has no ${file}. Run \`npm ci && npm run build\` in the checkout to compare with.`,
      )
  }
}

/**
 * Starts the server of a checkout with default settings for production, on the database at `databaseUrl` or, if that
 * is undefined, on an embedded one. `environment` has further settings. Returns its URL, what `load` needs to measure
 * its CPU time, and: `resetLog()`, to be called now and then, because the server's log goes to a file; `stop()`.
 * With `isOutputRead: false` the log goes to a pipe that nobody reads once the server listens.
 */
export async function startCheckout(directory, { databaseUrl, environment, isOutputRead = true } = {}) {
  assertBuilt(directory)
  const scratch = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const logFile = join(scratch, 'log')
  // Appended to, so that it can be truncated while the server writes. A pipe would have to be read meanwhile, which
  // takes CPU time from the server.
  const log = await open(logFile, 'a')
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: directory,
    stdio: ['ignore', isOutputRead ? log.fd : 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PORT: '0',
      AUTH_SECRET: authSecret,
      LOG_LEVEL: 'info',
      ...(databaseUrl === undefined ? { DATA_DIR: join(scratch, 'data') } : { DATABASE_URL: databaseUrl }),
      ...environment,
    },
  })
  child.stdout?.on('data', (chunk) => void log.appendFile(chunk))
  const exited = new Promise((done) => child.once('exit', done))
  const abandon = () => {
    child.kill('SIGKILL')
    rmSync(scratch, { recursive: true, force: true })
  }
  process.once('exit', abandon)
  const stop = async () => {
    process.off('exit', abandon)
    child.kill('SIGKILL')
    await exited
    await log.close()
    await rm(scratch, { recursive: true, force: true })
  }
  try {
    const url = `${await listeningUrl(child, logFile)}/graphql`
    child.stdout?.removeAllListeners('data').pause()
    return {
      url,
      gatewayToken: mintToken({ scope: 'calls:meter' }),
      cpu: { pid: child.pid, database: databaseOf(databaseUrl) },
      resetLog: () => log.truncate(0),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function listeningUrl(child, logFile) {
  for (let waitedMs = 0; waitedMs < startMs; waitedMs += 50) {
    const log = await readFile(logFile, 'utf8')
    const line = log.split('\n').find((text) => text.includes('"msg":"listening"') && text.endsWith('}'))
    if (line) return JSON.parse(line).url
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The server in ${child.spawnargs.join(' ')} ended before it listened:\n${log}`)
    await delay(50)
  }
  throw new Error(`The server did not listen within ${startMs / 1_000} s.`)
}

/** A token like those of the server's own tools: HS256 with AUTH_SECRET, valid for a day. */
export function mintToken(claims) {
  const now = Math.floor(Date.now() / 1_000)
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${encode({ alg: 'HS256' })}.${encode({ ...claims, sub: 'bench', iat: now, exp: now + 86_400 })}`
  return `${body}.${createHmac('sha256', authSecret).update(body).digest('base64url')}`
}

/**
 * Adds accounts (`account-0` …) with keys through the API, and meters each key once, so that this month's rows exist.
 * Returns the keys' secrets.
 */
export async function addKeys({ url }, { accounts, keysPerAccount, callers }) {
  const operator = mintToken({ scope: 'admin' })
  await ask(url, operator, savePlan, {
    input: { slug: 'bench', name: 'Bench', maxApiKeys: 1_000, monthlyCallQuota: null },
  })
  const secrets = []
  const numbers = Array.from({ length: accounts }, (_, i) => i).values()
  const addAccounts = async () => {
    for (const number of numbers) {
      const input = { externalId: `account-${number}`, name: 'Account', plan: 'bench' }
      const { account } = await ask(url, operator, saveAccount, { input })
      for (let key = 0; key < keysPerAccount; key++) {
        const { secret } = await ask(url, operator, addApiKey, { input: { accountId: account.id } })
        secrets.push(secret)
      }
    }
  }
  await Promise.all(Array.from({ length: callers }, addAccounts))
  const gateway = mintToken({ scope: 'calls:meter' })
  for (let from = 0; from < secrets.length; from += 100) {
    const calls = secrets.slice(from, from + 100).map((secret) => ({ secret, apiCall: 'v3.ping' }))
    const { decisions } = await ask(url, gateway, meterApiCalls, { input: { calls } })
    if (!decisions.every(({ admitted }) => admitted))
      throw new Error('A call of the preparation was refused.')
  }
  return secrets
}

const savePlan = `mutation ($input: SavePlanInput!) {
  answer: savePlan(input: $input) { ... on SavePlanPayload { plan { id } } } }`
const saveAccount = `mutation ($input: SaveAccountInput!) {
  answer: saveAccount(input: $input) { ... on SaveAccountPayload { account { id } } } }`
const addApiKey = `mutation ($input: AddApiKeyInput!) {
  answer: addApiKey(input: $input) { ... on AddApiKeyPayload { secret } } }`
const retriable = new Set(['UNAVAILABLE', 'OVERLOADED'])
const meterApiCalls = `mutation ($input: MeterApiCallsInput!) {
  answer: meterApiCalls(input: $input) { decisions { admitted } } }`

/**
 * Sends an operation, again if the server asks for that: the machine may be overloaded, and nothing is measured yet.
 * @throws if the answer is another error, or none of the types that the operation expects
 */
async function ask(url, token, query, variables) {
  let body
  for (let attempt = 1; attempt <= 10; attempt++) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    })
    body = await response.text()
    const { data, errors } = JSON.parse(body)
    if (data?.answer && Object.keys(data.answer).length > 0) return data.answer
    if (!retriable.has(errors?.[0].extensions?.code)) break
  }
  throw new Error(`The server answered: ${body}`)
}
