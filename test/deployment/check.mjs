// @ts-check
// npm run test:deployment: copies what a deployment consists of to an empty folder, installs it without development
// dependencies, and holds it to its size. Then the server runs from there, on the embedded database and on PostgreSQL,
// and meters a call on each. How soon it starts and how much memory it takes is reported and not judged, because
// both depend on what else the machine does.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)

/** Of everything that is copied and installed. */
const maxMegabytes = 120
/** How long a server does nothing before its memory is read. */
const restMs = 10_000
const postgresUrl = process.env.TEST_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres'

/** @typedef {Awaited<ReturnType<typeof start>>} Server */

const deployment = await mkdtemp(join(tmpdir(), 'latchkey-deployment-'))
const databaseName = `latchkey_deployment_${randomBytes(4).toString('hex')}`
/** @type {Server[]} */
const servers = []
try {
  await checkSize()
  await administer(`create database ${databaseName}`)
  await checkServers()
} finally {
  for (const { child } of servers) child.kill('SIGKILL')
  await administer(`drop database if exists ${databaseName} with (force)`)
  await rm(deployment, { recursive: true, force: true })
}

async function checkSize() {
  for (const part of ['package.json', 'package-lock.json', 'dist', 'prisma'])
    await cp(part, join(deployment, part), { recursive: true })
  await run('npm', ['ci', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: deployment })
  const { stdout } = await run('du', ['-sk', deployment])
  const megabytes = Math.round((Number.parseInt(stdout, 10) * 1_024) / 1e6)
  report(`${megabytes} MB installed, at most ${maxMegabytes}`)
  assert.ok(megabytes < maxMegabytes, `A deployment takes ${megabytes} MB, and ${maxMegabytes} are too many.`)
}

async function checkServers() {
  const embedded = { DATA_DIR: join(deployment, 'data') }
  const databaseUrl = new URL(postgresUrl)
  databaseUrl.pathname = databaseName
  const production = {
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl.href,
    AUTH_SECRET: randomBytes(32).toString('hex'),
  }
  const kinds = { 'embedded database': embedded, PostgreSQL: production }
  for (const [name, environment] of Object.entries(kinds)) {
    // The first start makes the database.
    const first = await start(environment)
    report(`${name}: first start ${first.startMs} ms`)
    await stop(first)
  }
  for (const environment of Object.values(kinds)) servers.push(await start(environment))
  await wait(restMs)
  for (const [index, [name, environment]] of Object.entries(kinds).entries()) {
    const server = servers[index]
    assert.ok(server)
    report(`${name}: start ${server.startMs} ms, ${await residentMegabytes(server)} MB at rest`)
    await meterOneCall(server, environment)
    await stop(server)
  }
}

/**
 * Runs the deployment's server until it is ready.
 * @param {Record<string, string>} environment
 */
async function start(environment) {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: deployment,
    env: { PATH: process.env.PATH, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const listening = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /running at (\S+)/.exec(line)?.[1] ?? /"url":"([^"]+)"/.exec(line)?.[1]
      if (url) resolve(url)
    })
  })
  const url = await Promise.race([listening, exited])
  assert.equal(typeof url, 'string', `The server ended with ${url} before it listened.`)
  const { status } = await fetch(`${url}/ready`)
  assert.equal(status, 200)
  return { child, url: String(url), exited, startMs: Math.round(performance.now() - startedAt) }
}

/** @param {Server} server */
async function stop({ child, exited }) {
  child.kill('SIGTERM')
  assert.equal(await exited, 0)
}

/** @param {Server} server */
async function residentMegabytes({ child }) {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Math.round((Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024) / 1e6)
}

/**
 * @param {Server} server
 * @param {Record<string, string>} environment
 */
async function meterOneCall({ url }, environment) {
  /** @param {string[]} options */
  const mint = async (...options) => {
    const command = ['dist/tools/token.js', ...options]
    const { stdout } = await run(process.execPath, command, { cwd: deployment, env: environment })
    return stdout.trim()
  }
  const customer = await mint('--account', 'deployment', '--scope', 'keys:read keys:write')
  const gateway = await mint('--scope', 'calls:meter')
  const { addApiKey } = await ask(
    url,
    customer,
    'mutation { addApiKey(input: {}) { ... on AddApiKeyPayload { secret } } }',
  )
  const { meterApiCall } = await ask(
    url,
    gateway,
    'mutation ($secret: String!) { meterApiCall(input: { secret: $secret, apiCall: "v3.ping" }) { code } }',
    { secret: addApiKey.secret },
  )
  assert.equal(meterApiCall.code, 'ADMITTED')
}

/**
 * @param {string} url
 * @param {string} token
 * @param {string} query
 * @param {Record<string, unknown>} variables
 */
async function ask(url, token, query, variables = {}) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = JSON.parse(await response.text())
  assert.deepEqual(errors, undefined)
  return data
}

/** @param {string} statement */
async function administer(statement) {
  const client = new pg.Client({ connectionString: postgresUrl })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** @param {string} figure */
function report(figure) {
  process.stdout.write(`measured: ${figure}\n`)
}
