import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type AuthConfig, ConfigError, readProcessConfig } from '../config.ts'
import { customerScopes, demoAccount, developmentSecrets, mintToken } from '../development.ts'
import { nextCall } from './traffic/mix.ts'
import { Gateway, readPlan, TrafficError, type TrafficPlan } from './traffic/server.ts'
import { Totals } from './traffic/totals.ts'

const usage = `Plays an API gateway: meters a mix of API calls with an account's keys, until Ctrl-C.

  npm run traffic -- [--rate <calls>] [--duration <seconds>] [--url <url>] [--account <external id>]

  --rate      calls a second; 20 when left out
  --duration  stop after so many seconds; when left out, Ctrl-C stops it
  --url       where the server is; http://127.0.0.1:$PORT when left out
  --account   whose keys; "${demoAccount}" when left out

A few calls in a hundred are ones that are denied: a key that does not exist, an API call that the key may not
make, one that there is not. Run it with the DATA_DIR or the AUTH_SECRET that the server runs with, as it signs
its own tokens.
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

/** More calls than this are never under way; while so many are, no further ones begin. */
const maxInFlight = 512
const tickMs = 10
/** How soon a key that was added, re-generated or removed is followed. */
const refreshMs = 2_000
/** How long the last calls are waited for. */
const lastAnswersMs = 2_000

process.stdout.on('error', () => process.exit(0))
// The client's timers would keep the process for another minute.
process.exit(await main())

async function main(): Promise<number> {
  try {
    const options = readOptions()
    if (options) await run(options)
    return 0
  } catch (error) {
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`)
    else if (error instanceof TrafficError || error instanceof ConfigError)
      process.stderr.write(`${error.message}\n`)
    else throw error
    return error instanceof UsageError ? 2 : error instanceof ConfigError ? 78 : 1
  }
}

/** Null where only the help was asked for. */
function readOptions(): Options | null {
  const values = parseOptions()
  if (values.help) {
    process.stdout.write(usage)
    return null
  }
  const { host, port, auth, keyPrefix } = readProcessConfig(developmentSecrets)
  const ownHost = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const url = (values.url ?? `http://${ownHost}:${port}`).replace(/\/(graphql\/?)?$/, '')
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError('--url must begin with http:// or https://.')
  const positive = (name: 'rate' | 'duration', most: number): number | undefined => {
    const text = values[name]
    if (text === undefined) return undefined
    const number = Number(text)
    if (!(number > 0 && number <= most))
      throw new UsageError(`--${name} must be more than 0, at most ${most}.`)
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
  if (!auth.secret)
    throw new TrafficError(
      'AUTH_JWKS_URL is set and AUTH_SECRET is not: there is nothing to sign tokens with.',
    )
  const customer = await mintToken(auth, { subject: 'traffic-customer', scopes: customerScopes, account })
  const gatewayToken = await mintToken(auth, { subject: 'traffic-gateway', scopes: ['calls:meter'] })
  const plan = await readPlan(url, customer)
  if (plan.keys.length === 0) throw new TrafficError(`The account ${account} has no key. Add one first.`)
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

/** Resolves when it is time to stop and the calls under way are answered. Throws TrafficError. */
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
        // A server that is restarting is waited for: meanwhile the calls themselves fail, and are shown to.
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
    // What could not begin in time is left out: to catch up would be a burst that nobody asked for.
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

/** Waits; false where it was cut short. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return await wait(ms, true, { signal }).catch(() => false)
}

/** Shows the totals as they grow: one line in place on a terminal, else a line a second. */
function showTotals(totals: Totals, startedAt: number): () => void {
  const { stdout } = process
  const show = () => {
    const line = totals.line(performance.now() - startedAt)
    // One that is wider than the terminal would wrap, and leave its first part behind each time.
    stdout.write(stdout.isTTY ? `\r\x1b[2K${line.slice(0, (stdout.columns || 80) - 1)}` : `${line}\n`)
  }
  const timer = setInterval(show, stdout.isTTY ? 200 : 1_000)
  return () => {
    clearInterval(timer)
    show()
    stdout.write(stdout.isTTY ? '\n\n' : '\n')
  }
}
