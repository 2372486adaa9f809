import type { Client } from 'graphql-ws'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { connectTo, createStorage, type TestStorage } from '../support/app.ts'
import { Network } from '../support/network.ts'
import { MeterApiCallOnce } from '../support/operations.ts'
import { postgresUrl } from '../support/services.ts'
import { webSocketClient } from '../support/websocket.ts'
import { Deployment } from './support/deployment.ts'

const kills = 50
const callers = 8

/** Meters a call with an id; resolves to null if the connection breaks before the answer. */
function meterOnce(client: Client, secret: string, requestId: string) {
  return new Promise<{ code: string; replayed: boolean } | null>((resolve, reject) => {
    client.subscribe<{ meterApiCall: { code: string; replayed: boolean } }>(
      { query: String(MeterApiCallOnce), variables: { secret, requestId } },
      {
        next: ({ data, errors }) =>
          data ? resolve(data.meterApiCall) : reject(new Error(errors?.[0]?.message ?? 'no data')),
        error: () => resolve(null),
        complete: () => {},
      },
    )
  })
}

describe.runIf(inject('postgres'))('a call with a requestId', () => {
  let storage: TestStorage
  let network: Network
  let deployment: Deployment
  let pool: pg.Pool

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    network = await Network.to(Number(new URL(postgresUrl).port || 5432))
    const url = new URL(storage.environment.DATABASE_URL ?? '')
    url.port = String(network.port)
    deployment = await Deployment.start({ databaseUrl: url.href, environment: { METER_TIMEOUT_MS: '20000' } })
    pool = connectTo(storage, 1)
  })
  afterAll(async () => {
    await deployment.stop()
    await network.cut()
    await pool.end()
    await storage.drop()
  })

  const committed = async () => {
    const { rows } = await pool.query<{ count: number }>('select count(*)::int from metered_request')
    return rows[0]?.count ?? 0
  }
  const counted = async (accountId: string) => {
    const { rows } = await pool.query<{ calls: string }>(
      'select coalesce(sum(calls), 0) as calls from account_usage where account_id = (select id from account where external_id = $1)',
      [accountId],
    )
    return Number(rows[0]?.calls)
  }

  it(`counts once through ${kills} kill -9 between its commit and its answer`, {
    timeout: 300_000,
  }, async () => {
    const { secrets, externalId } = await deployment.customer()
    const token = await deployment.gatewayToken()
    let sent = 0
    for (let kill = 1; kill <= kills; kill++) {
      const client = webSocketClient({ url: deployment.urlOf(0) }, token)
      const someCalls = Array.from({ length: callers }, () => ({
        secret: secrets[sent % secrets.length] as string,
        requestId: `call ${++sent}`,
      }))
      const [first, ...others] = someCalls
      const answered = first && (await meterOnce(client, first.secret, first.requestId))
      expect(answered).toMatchObject({ code: 'ADMITTED', replayed: false })
      const before = await committed()
      network.loseAnswers()
      const lost = others.map(({ secret, requestId }) => meterOnce(client, secret, requestId))
      while ((await committed()) === before);
      const [server] = deployment.servers.splice(0)
      server?.kill('SIGKILL')
      expect(await Promise.all(lost)).toEqual(others.map(() => null))
      await server?.exited
      network.thawWithLosses()
      deployment.servers.push(await deployment.startServer(0))
      const again = webSocketClient({ url: deployment.urlOf(0) }, token)
      const decisions = await Promise.all(
        someCalls.map(({ secret, requestId }) => meterOnce(again, secret, requestId)),
      )
      expect(decisions.map((decision) => decision?.code)).toEqual(someCalls.map(() => 'ADMITTED'))
      // The first was answered, and at least one of the others committed.
      expect(decisions.filter((decision) => decision?.replayed).length).toBeGreaterThanOrEqual(2)
      expect(await counted(externalId), `kill ${kill}`).toBe(sent)
      await Promise.all([client.dispose(), again.dispose()])
    }
  })
})
