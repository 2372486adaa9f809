import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { digestOf, generateSecret } from '../../src/domain/secret.ts'
import { connectTo, noteSecrets, type TestStorage } from '../support/app.ts'
import { AddApiKey, ConfigureApiKeyAccess, MeterApiCalls, RegenerateApiKey } from '../support/operations.ts'
import { Random } from '../support/random.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'
import { type Deployment, startShared } from './support/deployment.ts'
import { Gateway } from './support/gateway.ts'
import { Ledger } from './support/ledger.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)

describe.runIf(inject('postgres') && inject('redis'))('three servers on one PostgreSQL and one Redis', () => {
  let deployment: Deployment
  let storage: TestStorage
  let pool: pg.Pool
  let gateways: Gateway[]

  beforeAll(async () => {
    // Ten start at once on the empty database; three stay.
    ;({ deployment, storage } = await startShared({ servers: 10 }))
    pool = connectTo(storage, 4)
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close()
    await deployment.stop()
    await pool.end()
    await storage.drop()
  })

  const rows = async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    (await pool.query<Row>(text, values)).rows

  /** Runs a task `times` times, `width` at a time. */
  async function inParallel(times: number, width: number, task: (index: number) => Promise<void>) {
    let next = 0
    const worker = async () => {
      while (next < times) await task(next++)
    }
    await Promise.all(Array.from({ length: width }, worker))
  }

  it('apply each migration once, although ten started at once on an empty database', async () => {
    const migrations = await rows<{ name: string; times: number }>(
      'select migration_name as name, count(*)::int as times from _prisma_migrations group by 1',
    )
    expect(migrations.length).toBeGreaterThan(0)
    expect(migrations.filter(({ times }) => times !== 1)).toEqual([])
    for (const server of deployment.servers) expect((await fetch(`${server.url}/ready`)).status).toBe(200)
    const leaving = deployment.servers.splice(3)
    for (const server of leaving) server.kill('SIGTERM')
    expect(await Promise.all(leaving.map(({ exited }) => exited))).toEqual(leaving.map(() => 0))
    const token = await deployment.gatewayToken()
    gateways = deployment.servers.map(({ url }) => new Gateway(() => url, token))
  })

  it('admit exactly 5,000 of 10,000 calls against a quota of 5,000', async () => {
    const { secrets } = await deployment.customer({ keys: 3, quota: 5_000 })
    const ledger = new Ledger()
    await inParallel(10_000, 192, async (index) => {
      const secret = secrets[index % 3] as string
      ledger.note(secret, await (gateways[Math.floor(index / 3) % 3] as Gateway).call(secret))
    })
    expect(ledger.codes).toEqual(['ADMITTED', 'QUOTA_EXCEEDED'])
    expect([ledger.count('ADMITTED'), ledger.count('QUOTA_EXCEEDED')]).toEqual([5_000, 5_000])
    await ledger.expectTrueCounts(rows)
  })

  it('refuse a key that was removed on one of them in every call that begins afterwards: 10,000 trials', async () => {
    const customer = await deployment.customer({ keys: 0 })
    const [account] = await rows<{ id: string }>('select id from account where external_id = $1', [
      customer.externalId,
    ])
    const keys = await addKeysInOneGo(account?.id ?? '', 5_000)
    const gateway = await deployment.gatewayToken()
    const codesOn = async (server: number, calls: { secret: string; apiCall: string }[]) => {
      const { query } = deployment.app(server)
      const { data } = await query(MeterApiCalls, { as: gateway, variables: { calls } })
      return data.meterApiCalls.decisions.map(({ code }) => code)
    }
    const trials: string[] = []
    const perRound = 25
    await inParallel(keys.length / perRound, 6, async (round) => {
      const some = keys.slice(round * perRound, (round + 1) * perRound)
      const calls = some.map(({ secret }) => ({ secret, apiCall: 'v3.ping' }))
      // Each server has met the key before, so that a cache of keys would hold it.
      expect(new Set(await codesOn(1 + (round % 2), calls))).toEqual(new Set(['ADMITTED']))
      const removals = some.map(
        ({ id }, at) => `key${at}: removeApiKey(input: { id: "${id}" }) { __typename }`,
      )
      const { data } = await deployment
        .app(0)
        .query<Record<string, { __typename: string }>, object>(`mutation { ${removals.join(' ')} }`, {
          as: customer.token,
        })
      expect(new Set(Object.values(data).map((removal) => removal.__typename))).toEqual(
        new Set(['RemoveApiKeyPayload']),
      )
      for (const codes of await Promise.all([codesOn(1, calls), codesOn(2, calls)])) trials.push(...codes)
    })
    expect([trials.length, new Set(trials)]).toEqual([10_000, new Set(['KEY_INVALID'])])
  })

  it('judge a key by its newest secret and access, whichever server changed it, in every call afterwards', async () => {
    const [, b, c] = gateways as [Gateway, Gateway, Gateway]
    const { query } = deployment.app(0)
    await inParallel(8, 8, async () => {
      const { token, keys } = await deployment.customer({ keys: 1 })
      const [{ id, secret: first }] = keys as [{ id: string; secret: string }]
      const codesOf = async (secret: string) =>
        (await Promise.all([b.call(secret), c.call(secret)])).map(({ code }) => code)
      let secret = first
      for (let round = 0; round < 10; round++) {
        const access = { mode: 'RESTRICTED' as const, apiCalls: ['v3.account.limits'] }
        await query(ConfigureApiKeyAccess, { as: token, variables: { id, access } })
        expect(await codesOf(secret)).toEqual(['ACCESS_DENIED', 'ACCESS_DENIED'])
        await query(ConfigureApiKeyAccess, { as: token, variables: { id, access: { mode: 'FULL' } } })
        expect(await codesOf(secret)).toEqual(['ADMITTED', 'ADMITTED'])
        const { data } = await query(RegenerateApiKey, { as: token, variables: { id } })
        if (data.regenerateApiKey.__typename !== 'RegenerateApiKeyPayload')
          throw new Error('not re-generated')
        expect(await codesOf(secret)).toEqual(['KEY_INVALID', 'KEY_INVALID'])
        secret = data.regenerateApiKey.secret
      }
      expect(await codesOf(secret)).toEqual(['ADMITTED', 'ADMITTED'])
    })
  })

  it('never add more keys than the plan allows, however many adds arrive on all of them at once', async () => {
    for (let round = 0; round < 3; round++) {
      const { token, account } = await deployment.customer({ keys: 0, maxApiKeys: 7 })
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          deployment.app(index).query(AddApiKey, { as: token, variables: { input: {} } }),
        ),
      )
      const outcomes = answers.map(({ data }) => data.addApiKey.__typename)
      expect(outcomes.filter((outcome) => outcome === 'AddApiKeyPayload')).toHaveLength(6)
      expect(outcomes.filter((outcome) => outcome === 'ApiKeyLimitReached')).toHaveLength(24)
      expect((await account()).apiKeys.nodes).toHaveLength(7)
    }
  })

  it('never deadlock, however their batches overlap', async () => {
    const random = new Random(seed)
    const customers = await Promise.all(Array.from({ length: 8 }, () => deployment.customer({ keys: 3 })))
    const secrets = customers.flatMap((customer) => customer.secrets)
    const ledger = new Ledger()
    await inParallel(4_000, 192, async (index) => {
      const secret = random.pick(secrets)
      ledger.note(secret, await (gateways[index % 3] as Gateway).call(secret))
    })
    expect(ledger.codes, `seed ${seed}`).toEqual(['ADMITTED'])
    await ledger.expectTrueCounts(rows)
    // PostgreSQL's own count, for everything that these tests have done.
    const deadlocks = 'select deadlocks::int from pg_stat_database where datname = current_database()'
    expect(await rows(deadlocks)).toEqual([{ deadlocks: 0 }])
  })

  it('show on one what is counted on another', async () => {
    const { token, keys } = await deployment.customer({ keys: 1 })
    const [{ id, secret }] = keys as [{ id: string; secret: string }]
    const watcher = new LiveUsageWatcher(deployment.app(1), token)
    await watcher.until(({ events }) => events.length === 1)
    let calls = 0
    for (const gateway of [gateways[0], gateways[2]] as Gateway[]) {
      expect((await gateway.call(secret)).code).toBe('ADMITTED')
      calls++
      await watcher.until(({ counts }) => counts.get(id) === calls, 2_000)
    }
    await watcher.close()
  })

  /** Inserts keys as `addApiKey` makes them, all in one statement. Returns their secrets and global ids. */
  async function addKeysInOneGo(accountId: string, count: number) {
    const keys = Array.from({ length: count }, () => ({
      uuid: randomUUID(),
      secret: generateSecret('lk'),
    }))
    // Looking for all of them in the log would take longer than the test.
    for (const { secret } of keys.slice(0, 20)) noteSecrets(secret)
    await pool.query(
      `insert into api_key (id, account_id, digest, start, access_mode, created_at)
       select id, $1, digest, 'lk_', 'FULL', now() from unnest($2::uuid[], $3::bytea[]) as new (id, digest)`,
      [accountId, keys.map(({ uuid }) => uuid), keys.map(({ secret }) => digestOf(secret))],
    )
    return keys.map(({ uuid, secret }) => ({ secret, id: Buffer.from(`ApiKey:${uuid}`).toString('base64') }))
  }
})
