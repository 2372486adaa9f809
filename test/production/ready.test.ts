import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TokenIssuer } from '../support/jwks-server.ts'
import { Network } from '../support/network.ts'
import { AddApiKey, MeterApiCall } from '../support/operations.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { meterTimeoutMs, slackMs } from './support/bounds.ts'
import { Deployment } from './support/deployment.ts'
import { PrivatePostgres } from './support/private-postgres.ts'
import { canRunPostgres } from './support/programs.ts'

/** An outcome is reused for at most this long. */
const checkEveryMs = 1_000

/** What `/ready` answers, and how long it takes. */
async function askReady({ url }: { url: string }): Promise<{ status: number; ms: number }> {
  const startedAt = performance.now()
  const { status } = await fetch(`${url}/ready`)
  return { status, ms: performance.now() - startedAt }
}

/** Resolves as soon as `/ready` answers with this status; to what it answered until then. */
async function becomes(server: ServerProcess, status: number, withinMs: number): Promise<number[]> {
  const statuses: number[] = []
  await expect
    .poll(async () => statuses.push((await askReady(server)).status) && statuses.at(-1), {
      timeout: withinMs,
      interval: 20,
    })
    .toBe(status)
  return statuses
}

describe.runIf(canRunPostgres)('/ready', () => {
  let postgres: PrivatePostgres
  let network: Network
  let deployment: Deployment
  let server: ServerProcess

  beforeAll(async () => {
    postgres = await PrivatePostgres.start('log_statement=all', 'log_line_prefix=%a|')
    network = await Network.to(postgres.port)
    const databaseUrl = `postgres://postgres@127.0.0.1:${network.port}/postgres`

    deployment = await Deployment.start({ databaseUrl })
    server = deployment.servers[0] as ServerProcess
  })
  afterAll(async () => {
    await deployment.stop()
    await network.cut()
    await postgres.remove()
  })
  beforeEach(() => becomes(server, 200, 5_000))

  /** Every statement that the servers have sent so far. */
  const statements = () => [...postgres.log.matchAll(/^latchkey\|LOG: {2}.*$/gm)].map(([line]) => line)

  describe('while customers’ statements hold all connections that are not for metering', () => {
    const locked = () => postgres.query("select from pg_stat_activity where wait_event_type = 'Lock'")
    let holder: pg.Client
    let adds: Promise<unknown>[]
    let secret: string

    beforeEach(async () => {
      // An account has no more than a third of the connections.
      const customers = await Promise.all(Array.from({ length: 4 }, () => deployment.customer({ keys: 1 })))
      secret = customers[0]?.secrets[0] as string
      holder = new pg.Client({ connectionString: postgres.url })
      await holder.connect()
      await holder.query('begin')
      // Adding a key waits for this row; metering does not.
      await holder.query('select from account for no key update')
      const add = (as: string) => deployment.app().query(AddApiKey, { as, variables: { input: {} } })
      adds = customers.flatMap(({ token }) => Array.from({ length: 4 }, () => add(token)))
      // DATABASE_POOL_SIZE, without the two that are for metering.
      await expect.poll(locked, { timeout: 5_000 }).toHaveLength(8)
    })
    afterEach(async () => {
      await holder.query('rollback')
      await holder.end()
      await Promise.all(adds)
    })

    it('answers 200 at once, because calls are still metered', async () => {
      const deadline = performance.now() + 2 * checkEveryMs
      while (performance.now() < deadline) {
        const { status, ms } = await askReady(server)
        expect([status, ms < slackMs]).toEqual([200, true])
        const variables = { secret, apiCall: 'v3.ping' }
        const as = await deployment.gatewayToken()
        const { data } = await deployment.app().query(MeterApiCall, { as, variables })
        expect(data.meterApiCall.code).toBe('ADMITTED')
      }
      expect(await locked()).toHaveLength(8)
    })
  })

  it('asks the database at most once a second, however many ask', async () => {
    const before = statements().length
    const startedAt = performance.now()
    const elapsedMs = () => performance.now() - startedAt
    let asked = 0
    const askers = Array.from({ length: 20 }, async () => {
      while (elapsedMs() < 3 * checkEveryMs) {
        expect((await askReady(server)).status).toBe(200)
        asked++
      }
    })
    await Promise.all(askers)
    const times = new Map<string, number>()
    for (const line of statements().slice(before)) times.set(line, (times.get(line) ?? 0) + 1)
    const mostOfOneKind = Math.max(0, ...times.values())
    expect(asked).toBeGreaterThan(100)
    // It asks at all: what it answers is not made up.
    expect(mostOfOneKind).toBeGreaterThan(0)
    expect(mostOfOneKind).toBeLessThanOrEqual(Math.ceil(elapsedMs() / checkEveryMs) + 1)
  })

  it('answers all who ask 503 in time while the database does not answer', async () => {
    await askReady(server)
    network.freeze()
    await becomes(server, 503, checkEveryMs + meterTimeoutMs + slackMs)
    const answers = await Promise.all(Array.from({ length: 100 }, () => askReady(server)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(meterTimeoutMs + slackMs)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    network.thawWithLosses()
    await becomes(server, 200, checkEveryMs + meterTimeoutMs + slackMs)
  })

  it('answers 503 within a second of the loss of the database, and 200 within a second of its return', async () => {
    await postgres.stop()
    await becomes(server, 503, checkEveryMs + slackMs)
    await postgres.start()
    await becomes(server, 200, checkEveryMs + slackMs)
  })
})

describe.runIf(canRunPostgres)('/ready of a server that checks tokens by AUTH_JWKS_URL', () => {
  const issuer = new TokenIssuer()
  let postgres: PrivatePostgres
  let deployment: Deployment

  beforeAll(async () => {
    postgres = await PrivatePostgres.start()
    await issuer.addKey('ES256', 'one')
    await issuer.start()
  })
  afterAll(async () => {
    await deployment.stop()
    await postgres.remove()
    await issuer.stop()
  })

  it('answers 503 until the keys can be fetched, and 200 while the keys that it has are still good', async () => {
    await issuer.stop()
    deployment = await Deployment.start({
      databaseUrl: postgres.url,
      environment: {
        AUTH_SECRET: '',
        AUTH_JWKS_URL: issuer.jwksUrl,
        AUTH_ISSUER: 'https://issuer.example',
        AUTH_AUDIENCE: 'latchkey',
      },
    })
    const server = deployment.servers[0] as ServerProcess
    expect((await askReady(server)).status).toBe(503)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    await issuer.start()
    await becomes(server, 200, checkEveryMs + slackMs)
    await issuer.stop()
    const until = performance.now() + 2 * checkEveryMs
    while (performance.now() < until) expect((await askReady(server)).status).toBe(200)
  })

  it('does not fetch the keys more often than once a second', async () => {
    const server = deployment.servers[0] as ServerProcess
    await issuer.start()
    const before = issuer.fetches
    const startedAt = performance.now()
    while (performance.now() < startedAt + 2 * checkEveryMs) await askReady(server)
    expect(issuer.fetches - before).toBeLessThanOrEqual(
      Math.ceil((performance.now() - startedAt) / checkEveryMs) + 1,
    )
  })
})
