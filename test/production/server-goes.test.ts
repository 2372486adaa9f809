import { once } from 'node:events'
import { connect } from 'node:net'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { connectTo, sendOperation, type TestStorage } from '../support/app.ts'
import { Network } from '../support/network.ts'
import { MeterApiCall } from '../support/operations.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { LiveUsageWatcher, openRawConnection } from '../support/websocket.ts'
import { slackMs } from './support/bounds.ts'
import { type Deployment, startShared } from './support/deployment.ts'

const shutdownTimeoutMs = 4_000

describe.runIf(inject('postgres') && inject('redis'))('one of three servers,', () => {
  let deployment: Deployment
  let storage: TestStorage
  let pool: pg.Pool
  let externalId: string
  let secrets: string[]

  beforeAll(async () => {
    const environment = { SHUTDOWN_TIMEOUT_MS: String(shutdownTimeoutMs), SHUTDOWN_DELAY_MS: '500' }
    ;({ deployment, storage } = await startShared({ servers: 3, environment }))
    pool = connectTo(storage, 2)
  })
  beforeEach(async () => {
    while (deployment.servers.length < 3) deployment.servers.push(await deployment.startServer(0))
    ;({ secrets, externalId } = await deployment.customer())
  })
  afterAll(async () => {
    await deployment.stop()
    await pool.end()
    await storage.drop()
  })

  const query = async <Row extends pg.QueryResultRow>(text: string) => (await pool.query<Row>(text)).rows

  /** Removes a server from those that clients connect to, as a load balancer does. */
  const takeOut = () => deployment.servers.shift() as ServerProcess

  it('killed under load, leaves the others serving, clients that reconnect, and true counts', async () => {
    const customer = await deployment.customer({ keys: 1 })
    const watcher = new LiveUsageWatcher(
      { url: '' },
      customer.token,
      {},
      {
        url: () => `${deployment.urlOf(0).replace('http', 'ws')}/graphql`,
        retryAttempts: 50,
        retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
        shouldRetry: () => true,
      },
    )
    await watcher.until(({ events }) => events.length === 1)
    const load = await deployment.load([...secrets, ...customer.secrets])
    await load.sees('ADMITTED', 200)
    takeOut().kill('SIGKILL')
    await load.allSee('ADMITTED')
    await load.sees('ADMITTED', 200)
    takeOut().kill('SIGKILL')
    await load.allSee('ADMITTED')
    await load.sees('ADMITTED', 200)
    const ledger = await load.stop()
    expect(ledger.codes).toEqual(['ADMITTED', 'no answer'])
    await ledger.expectTrueCounts(query)
    const [{ id, secret }] = customer.keys as [{ id: string; secret: string }]
    await watcher.until(({ counts }) => (counts.get(id) ?? 0) >= ledger.count('ADMITTED', secret))
    await watcher.close()
  })

  it('on SIGTERM under load, first says so on /ready, then refuses connections, and loses no call', async () => {
    const load = await deployment.load(secrets)
    await load.sees('ADMITTED', 200)
    const leaving = takeOut()
    const statuses = new Set<number | string>()
    const probing = (async () => {
      while (!statuses.has('refused')) statuses.add(await probe(leaving.url))
    })()
    await expect.poll(() => [...statuses]).toEqual([200])
    leaving.kill('SIGTERM')
    const startedAt = performance.now()
    await expect.poll(() => statuses.has(503), { interval: 5 }).toBe(true)
    // Everything else still works until load balancers have noticed.
    expect((await fetch(`${leaving.url}/health`)).status).toBe(200)
    const token = await deployment.gatewayToken()
    const variables = { secret: secrets[0] as string, apiCall: 'v3.ping' }
    const { data } = await sendOperation(leaving.url, MeterApiCall, { as: token, variables })
    expect(data.meterApiCall.code).toBe('ADMITTED')
    await probing
    expect([...statuses]).toEqual([200, 503, 'refused'])
    expect(await leaving.exited).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(shutdownTimeoutMs)
    await load.allSee('ADMITTED')
    const ledger = await load.stop()
    // Calls that it refused are not counted: with the one above, exactly what was admitted is stored.
    const [stored] = await query<{ calls: number }>(
      `select calls::int from account_usage join account on id = account_id where external_id = '${externalId}'`,
    )
    expect(stored?.calls).toBe(ledger.count('ADMITTED') + 1)
  })

  it('on SIGTERM, answers the calls in flight and closes WebSockets with 1001', async () => {
    const [{ url }] = deployment.servers as [ServerProcess]
    const token = await deployment.gatewayToken()
    const variables = { secret: secrets[0] as string, apiCall: 'v3.ping' }
    const meter = () => sendOperation(url, MeterApiCall, { as: token, variables })
    expect((await meter()).data.meterApiCall.code).toBe('ADMITTED')
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from account_usage for update')
    const overHttp = meter()
    const socket = await (await openRawConnection({ url })).init(token)
    socket.send({ id: '1', type: 'subscribe', payload: { query: String(MeterApiCall), variables } })
    await expect
      .poll(() => query("select from pg_stat_activity where wait_event_type = 'Lock'"))
      .not.toHaveLength(0)
    const leaving = takeOut()
    leaving.kill('SIGTERM')
    await expect.poll(() => probe(url)).toBe('refused')
    const closed = once(socket.socket, 'close')
    await holder.query('rollback')
    holder.release()
    expect((await overHttp).data.meterApiCall.code).toBe('ADMITTED')
    expect(await socket.next()).toMatchObject({ payload: { data: { meterApiCall: { code: 'ADMITTED' } } } })
    expect((await closed)[0]).toBe(1001)
    expect(await leaving.exited).toBe(0)
  })

  it('on SIGTERM, cuts off clients that do not finish within SHUTDOWN_TIMEOUT_MS', async () => {
    const leaving = takeOut()
    const { hostname, port } = new URL(leaving.url)
    const begun = connect(Number(port), hostname)
    begun.write('POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n')
    await once(begun, 'data')
    const deaf = await openRawConnection(leaving)
    deaf.socket.pause()
    leaving.kill('SIGTERM')
    const startedAt = performance.now()
    expect(await leaving.exited).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(shutdownTimeoutMs + slackMs)
    deaf.socket.terminate()
    begun.destroy()
  })

  it('on SIGTERM, ends within SHUTDOWN_TIMEOUT_MS although the database is frozen', async () => {
    const databaseUrl = new URL(storage.environment.DATABASE_URL ?? '')
    const network = await Network.to(Number(databaseUrl.port || 5432))
    databaseUrl.port = String(network.port)
    const leaving = await deployment.startServer(3, { DATABASE_URL: databaseUrl.href })
    const token = await deployment.gatewayToken()
    const variables = { secret: secrets[0] as string, apiCall: 'v3.ping' }
    const meter = () => sendOperation(leaving.url, MeterApiCall, { as: token, variables })
    expect((await meter()).data.meterApiCall.code).toBe('ADMITTED')
    network.freeze()
    const waiting = Promise.all([meter(), fetch(`${leaving.url}/ready`)])
    leaving.kill('SIGTERM')
    const startedAt = performance.now()
    const [{ errors }] = await waiting
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['UNAVAILABLE'])
    expect(await leaving.exited).toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(shutdownTimeoutMs + slackMs)
    await network.cut()
  })
})

/** What `/ready` answers on a new connection. */
async function probe(url: string): Promise<number | 'refused'> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  socket.write('GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  try {
    const answer = (await socket.toArray()).join('')
    return Number(answer.split(' ')[1])
  } catch {
    return 'refused'
  }
}
