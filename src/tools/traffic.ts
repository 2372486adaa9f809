import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type AuthConfig, ConfigError } from '../config.ts'
import {
  customerScopes,
  demoAccount,
  mintToken,
  NoSigningSecretError,
  readSigningConfig,
} from '../development.ts'
import { nextCall } from './traffic/mix.ts'
import { Gateway, readPlan, TrafficError, type TrafficPlan } from './traffic/server.ts'
import { Totals } from './traffic/totals.ts'

const usage = `Simulates an API gateway: meters a mix of API calls with an account's keys until you press Ctrl+C.

  npm run traffic -- [--rate <calls>] [--duration <seconds>] [--url <url>] [--account <external id>]

  --rate      calls per second; default 20
  --duration  stop after this many seconds; default: run until Ctrl+C
  --url       the server's address; default http://127.0.0.1:$PORT
  --account   the external id of the account whose keys are used; default "${demoAccount}"

About 7% of the calls are meant to be refused: unknown keys, API calls outside a key's access, unknown API calls.

It signs its own tokens, so AUTH_SECRET or DATA_DIR must be the one the server runs with.
`

interface Options {
  url: string
  rate: number
  durationMs: number
  account: string
  auth: AuthConfig
  keyPrefix: string
}

class UsageError extends Error {}

/** The most calls in flight at a time. Calls that become due beyond it are skipped. */
const maxInFlight = 512
const tickMs = 10
/** How often the account's keys are read again, to pick up added, re-generated and removed ones. */
const refreshMs = 2_000
/** How long to wait for outstanding answers at the end. */
const lastAnswersMs = 2_000

process.stdout.on('error', () => process.exit(0))
// Exit explicitly: the client's timers would keep the process alive for another minute.
process.exit(await main())

async function main(): Promise<number> {
  try {
    const options = readOptions()
    if (options) await run(options)
    return 0
  } catch (error) {
    const isConfiguration = error instanceof ConfigError || error instanceof NoSigningSecretError
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`)
    else if (error instanceof TrafficError || isConfiguration) process.stderr.write(`${error.message}\n`)
    else throw error
    return error instanceof UsageError ? 2 : isConfiguration ? 78 : 1
  }
}

/** Null after printing the help. */
function readOptions(): Options | null {
  const values = parseOptions()
  if (values.help) {
    process.stdout.write(usage)
    return null
  }
  const { host, port, auth, keyPrefix } = readSigningConfig()
  const ownHost = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const url = (values.url ?? `http://${ownHost}:${port}`).replace(/\/(graphql\/?)?$/, '')
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError('--url must start with http:// or https://.')
  const positive = (name: 'rate' | 'duration', most: number): number | undefined => {
    const text = values[name]
    if (text === undefined) return undefined
    const number = Number(text)
    if (!(number > 0 && number <= most))
      throw new UsageError(`--${name} must be greater than 0 and at most ${most}.`)
    return number
  }
  return {
    url,
    rate: positive('rate', 100_000) ?? 20,
    durationMs: (positive('duration', 1e9) ?? Number.POSITIVE_INFINITY) * 1_000,
    account: values.account,
    auth,
    keyPrefix,
  }
}

function parseOptions() {
  try {
    return parseArgs({
      options: {
        url: { type: 'string' },
        rate: { type: 'string' },
        duration: { type: 'string' },
        account: { type: 'string', default: demoAccount },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function run(options: Options): Promise<void> {
  const { url, account, auth } = options
  const customer = await mintToken(auth, { subject: 'traffic-customer', scopes: customerScopes, account })
  const gatewayToken = await mintToken(auth, { subject: 'traffic-gateway', scopes: ['calls:meter'] })
  const plan = await readPlan(url, customer)
  if (plan.keys.length === 0) throw new TrafficError(`The account ${account} has no keys. Add one first.`)
  const gateway = new Gateway(url, gatewayToken)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const totals = new Totals()
  const startedAt = performance.now()
  const stopShowing = showTotals(totals, startedAt)
  try {
    await playTraffic(options, plan, { gateway, customer, totals, stop })
  } finally {
    const elapsedMs = performance.now() - startedAt
    stopShowing()
    await gateway.close()
    process.stdout.write(`${totals.summary(elapsedMs)}\n`)
  }
}

interface Parts {
  gateway: Gateway
  customer: string
  totals: Totals
  stop: AbortController
}

/**
 * Sends calls until the duration is over or `stop` is aborted, then waits for outstanding answers.
 * @throws TrafficError
 */
async function playTraffic(options: Options, firstPlan: TrafficPlan, parts: Parts): Promise<void> {
  const { url, rate, durationMs, keyPrefix } = options
  const { gateway, customer, totals, stop } = parts
  const inFlight = new Set<Promise<void>>()
  let plan = firstPlan
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
    stop.abort()
  }

  async function send(): Promise<void> {
    const call = nextCall(plan, keyPrefix)
    if (!call) return
    totals.sent++
    const sentAt = performance.now()
    totals.add(await gateway.meter(call), performance.now() - sentAt)
  }

  async function refresh(): Promise<void> {
    while (await pause(refreshMs, stop.signal)) {
      try {
        plan = await readPlan(url, customer)
      } catch (error) {
        // The server may be restarting: keep going, the failing calls are shown.
        if (error instanceof TrafficError && error.cause === undefined) fail(error)
      }
    }
  }

  const refreshing = refresh()
  const startedAt = performance.now()
  let due = 0
  while (!stop.signal.aborted) {
    const elapsedMs = Math.min(performance.now() - startedAt, durationMs)
    const dueBy = Math.floor((elapsedMs / 1_000) * rate)
    // Calls that could not start in time are skipped: catching up would be a burst above the chosen rate.
    for (; due < dueBy && inFlight.size < maxInFlight; due++) {
      const sending: Promise<void> = send()
        .catch(fail)
        .finally(() => inFlight.delete(sending))
      inFlight.add(sending)
    }
    due = dueBy
    if (elapsedMs >= durationMs || !(await pause(tickMs, stop.signal))) break
  }
  stop.abort()
  await Promise.race([Promise.all([...inFlight, refreshing]), wait(lastAnswersMs)])
  if (failure) throw failure
}

/** Resolves to false if the wait was aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return await wait(ms, true, { signal }).catch(() => false)
}

/** Prints the running totals: one updating line on a terminal, otherwise a line per second. */
function showTotals(totals: Totals, startedAt: number): () => void {
  const { stdout } = process
  const show = () => {
    const line = totals.line(performance.now() - startedAt)
    // A line wider than the terminal would wrap and leave its first part on screen each time.
    stdout.write(stdout.isTTY ? `\r\x1b[2K${line.slice(0, (stdout.columns || 80) - 1)}` : `${line}\n`)
  }
  const timer = setInterval(show, stdout.isTTY ? 200 : 1_000)
  return () => {
    clearInterval(timer)
    show()
    stdout.write(stdout.isTTY ? '\n\n' : '\n')
  }
}
