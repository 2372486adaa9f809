import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { loadavg, setPriority } from 'node:os'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { mintToken, startCheckout } from '../checkout.mjs'
import { createDatabase, dropDatabase } from '../contenders/database.mjs'
import { fill } from '../data.mjs'
import { attacks as allAttacks } from '../hostile/attacks.mjs'
import { delay } from '../load/stats.mjs'
import { format } from '../measure.mjs'

const probeFile = fileURLToPath(new URL('../hostile/probe.mjs', import.meta.url))
const attackerFile = fileURLToPath(new URL('../hostile/attacker.mjs', import.meta.url))

/** What an attack may do to others at most. */
const bounds = { healthMs: 250, meteredMs: 1_000, grownMb: 200 }

/** Keys by number: the attacker's account, accounts of ten keys, and the account with the most keys. */
const [attackersKeys, smallKeys, largeKeys] = [900, 1_100, 10_000]
const keys = attackersKeys + smallKeys + largeKeys
const accountIdOf = (number) => `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`
const firstLarge = (attackersKeys + smallKeys) / 10
/** What tokens must have where an issuer's public keys are configured. */
const [issuer, audience] = ['https://issuer.example', 'latchkey']

/**
 * Attacks the server, each time in a new process on the same database, while a gateway meters 120 calls a second, one
 * customer asks for a page ten times a second, and `/health` is asked twenty times a second. Attackers are processes of
 * a lower priority, and the one that measures has a higher one, because all of them share the machine's processors.
 */
export async function hostile({ attackMs, attackSockets, attacks: wanted, warm, tell }) {
  const databaseUrl = await createDatabase('hostile')
  await prepare(databaseUrl)
  const rows = []
  const servers = new Servers(databaseUrl, warm)
  // A smoke run makes do with a part of them.
  const attacks = warm ? allAttacks : allAttacks.filter((_, index) => index % 5 === 0)
  for (const attack of attacks) {
    if (!`${attack.from}: ${attack.name}`.includes(wanted)) continue
    const measured = await carryOut(attack, {
      servers,
      attackMs,
      sockets: attackSockets,
      warmupMs: warm ? 2_000 : 100,
      afterMs: warm ? 1_500 : 50,
    })
    tell(progressOf(attack, measured))
    rows.push({ from: attack.from, name: attack.name, ...measured })
  }
  await servers.stop()
  await dropDatabase(databaseUrl)
  return {
    title: `Attacks of ${attackMs / 1_000} s each, while a gateway meters 120 calls a second`,
    lines: [],
    attacks: rows,
    grid: gridOf(rows),
    checks: rows.filter(({ faults }) => faults.length > 0).map(missedOf),
  }
}

/** Migrates and fills the database, and gives the attacker's account and another one more keys than ten. */
async function prepare(databaseUrl) {
  const migrating = await startCheckout('.', { databaseUrl })
  await migrating.stop()
  await fill(databaseUrl, { keys })
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const move = 'update api_key set account_id = $1 where account_id between $2 and $3'
  await client.query(move, [accountIdOf(0), accountIdOf(0), accountIdOf(attackersKeys / 10 - 1)])
  await client.query(move, [accountIdOf(firstLarge), accountIdOf(firstLarge), accountIdOf(keys / 10)])
  await client.query('vacuum analyze api_key')
  await client.end()
}

async function carryOut(attack, { servers, attackMs, sockets, warmupMs, afterMs }) {
  const { url, pid, redisPort, probe, stop } = await servers.start(attack)
  const { origin, hostname: host, port } = new URL(url)
  await delay(warmupMs)
  const restedMb = memoryOf(pid).residentMb
  resetPeak(pid)
  await probe.ask('record')
  const target = {
    ...{ url: origin, host, port: Number(port), sockets, redisPort, accountId: accountIdOf(0) },
    token: customerToken(0),
    largeToken: customerToken(firstLarge),
  }
  const order = { name: attack.name, target, seconds: attackMs / 1_000 }
  const reports = await Promise.all(Array.from({ length: attack.attackers ?? 1 }, () => runAttacker(order)))
  // What the attack has left behind counts too.
  await delay(afterMs)
  const seen = await probe.ask('report')
  const peakMb = memoryOf(pid)?.peakMb
  await stop()
  const measured = { ...seen, did: sumOf(reports), grownMb: peakMb - restedMb, load: loadavg()[0] }
  if (measured.did.sent + measured.did.connections === 0)
    throw new Error(`The attack "${attack.name}" did nothing.`)
  return { ...measured, faults: faultsOf(measured) }
}

/** Servers with a probe each: a new one for each attack, or, where nothing is measured, one for equal settings. */
class Servers {
  #databaseUrl
  #isEachNew
  #kept = new Map()

  constructor(databaseUrl, isEachNew) {
    this.#databaseUrl = databaseUrl
    this.#isEachNew = isEachNew
  }

  async start(attack) {
    if (this.#isEachNew) return await this.#startNew(attack)
    const { environment, redis, jwks, isOutputRead } = attack
    const settings = JSON.stringify({ environment, redis, jwks, isOutputRead })
    const server = this.#kept.get(settings) ?? (await this.#startNew(attack))
    this.#kept.set(settings, server)
    return { ...server, stop: async () => {} }
  }

  async stop() {
    for (const { stop } of this.#kept.values()) await stop()
  }

  async #startNew(attack) {
    const redis = attack.redis ? await startRedis() : undefined
    const jwks = attack.jwks ? await startJwks() : undefined
    const environment = {
      ...attack.environment,
      ...(redis && { REDIS_URL: `redis://127.0.0.1:${redis.port}` }),
      ...(jwks && { AUTH_JWKS_URL: jwks.url, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience }),
    }
    const { isOutputRead } = attack
    const server = await startCheckout('.', { databaseUrl: this.#databaseUrl, environment, isOutputRead })
    const { pid } = server.cpu
    prefer(pid)
    const probe = await startProbe(server)
    const stop = async () => {
      probe.stop()
      await server.stop()
      await redis?.stop()
      jwks?.close()
    }
    return { url: server.url, pid, redisPort: redis?.port, probe, stop }
  }
}

/** Attackers have machines of their own in the real world. Here they, and other users, must not take the server's turn. */
function prefer(pid) {
  try {
    setPriority(pid, -10)
  } catch {
    // Only root may.
  }
}

function customerToken(account) {
  const scope = 'keys:read keys:write keys:reveal'
  return mintToken({ scope, account: `account-${account}`, iss: issuer, aud: audience })
}

async function startProbe({ url, cpu: { pid } }) {
  const order = {
    ...{ url, pid, keys },
    gatewayToken: mintToken({ scope: 'calls:meter', iss: issuer, aud: audience }),
    customerToken: customerToken(attackersKeys / 10),
  }
  const child = fork(probeFile, [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`The probe ended with ${code}.`)
  })
  failed.catch(() => {})
  const answered = async () => (await Promise.race([once(child, 'message'), failed]))[0]
  await answered()
  return {
    ask(question) {
      child.send(question)
      return answered()
    },
    stop: () => child.kill(),
  }
}

async function runAttacker(order) {
  const child = spawn(process.execPath, [attackerFile], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(order))
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (code !== 0) throw new Error(`The attacker "${order.name}" ended with ${code}.`)
  return JSON.parse(output)
}

function sumOf(reports) {
  const sum = { connections: 0, sent: 0, received: 0, answers: {} }
  for (const report of reports) {
    for (const figure of ['connections', 'sent', 'received']) sum[figure] += report[figure]
    for (const [answer, count] of Object.entries(report.answers))
      sum.answers[answer] = (sum.answers[answer] ?? 0) + count
  }
  return sum
}

/** From /proc; undefined where there is none, or the process has ended. */
function memoryOf(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const mb = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024
    return { residentMb: mb('VmRSS'), peakMb: mb('VmHWM') }
  } catch {
    return undefined
  }
}

/** Lets the peak of the memory begin anew. https://docs.kernel.org/filesystems/proc.html: clear_refs */
function resetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function faultsOf({ health, metered, grownMb }) {
  return [
    ...(health.worstMs < bounds.healthMs && health.refused === 0 ? [] : ['/health']),
    ...(metered.worstMs < bounds.meteredMs ? [] : ['metered calls']),
    ...(metered.refused === 0 ? [] : ['refused']),
    ...(grownMb < bounds.grownMb ? [] : ['memory']),
  ]
}

const missedOf = ({ name, faults }) => ({
  what: name,
  value: faults.join(', '),
  floor: 'within bounds',
  holds: false,
})

function progressOf({ name }, { health, metered, customer, grownMb, lateMs, load, did, faults }) {
  const answers = Object.entries(did.answers).map(([answer, count]) => `${answer}: ${count}`)
  return (
    `  ${name.padEnd(54)} /health ${format(health.worstMs)} ms (${format(health.busyMs)} busy), metered ${format(metered.worstMs)} ms, ` +
    `${metered.refused} refused, +${Math.round(grownMb)} MB, ` +
    `another account ${format(customer.p99Ms)} ms (${customer.refused} refused), probe ${format(lateMs)} ms late, ` +
    `load ${load}; ${did.connections} connections, ${did.sent} sent, ${answers.join(', ')}` +
    `${faults.length > 0 ? `  BEYOND: ${faults.join(', ')} ${[...health.examples, ...metered.examples].join(' | ')}` : ''}`
  )
}

function gridOf(rows) {
  return {
    head: [
      'attack',
      'worst /health ms',
      'server busy meanwhile ms',
      'worst metered call ms',
      'refused calls',
      'memory MB',
      'another account, p99 ms',
      'within bounds',
    ],
    rows: rows.map(({ name, health, metered, customer, grownMb, faults }) => [
      name,
      format(health.worstMs),
      format(health.busyMs),
      format(metered.worstMs),
      `${metered.refused} of ${metered.asked}`,
      `+${Math.round(Math.max(0, grownMb))}`,
      format(customer.p99Ms) + (customer.refused > 0 ? `, ${customer.refused} refused` : ''),
      faults.length === 0 ? 'yes' : `no: ${faults.join(', ')}`,
    ]),
  }
}

async function freePort() {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/** A Redis of its own: the one on this machine may have other users. */
async function startRedis() {
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false }))
    if (chunk.includes('Ready to accept')) break
  child.stdout.resume()
  return {
    port,
    async stop() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** An issuer that takes its time, and whose only key signs nothing. */
async function startJwks() {
  const { subtle } = globalThis.crypto
  const pair = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const key = { ...(await subtle.exportKey('jwk', pair.publicKey)), kid: 'known', alg: 'ES256' }
  const server = createServer((_request, response) => {
    setTimeout(() => response.end(JSON.stringify({ keys: [key] })), 100)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${server.address().port}/jwks`, close: () => server.close() }
}
