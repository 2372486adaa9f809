import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { connectTo, createStorage, type TestStorage } from '../support/app.ts'
import { Network } from '../support/network.ts'
import { AddApiKey } from '../support/operations.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'
import { slackMs } from './support/bounds.ts'
import { Deployment } from './support/deployment.ts'
import { Gateway } from './support/gateway.ts'
import { PrivateRedis } from './support/private-redis.ts'
import { canRunRedis } from './support/programs.ts'

/** How often the counts of other servers are read while Redis is away. */
const catchUpMs = 5_000

describe.runIf(inject('postgres') && canRunRedis)('two servers that lose Redis', () => {
  let storage: TestStorage
  let redis: PrivateRedis
  let network: Network
  let deployment: Deployment

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    redis = await PrivateRedis.start()
    network = await Network.to(redis.port)
    deployment = await Deployment.start({
      servers: 2,
      databaseUrl: storage.environment.DATABASE_URL ?? '',
      redisUrl: `redis://127.0.0.1:${network.port}`,
      environment: { LIVE_INTERVAL_MS: '50' },
    })
  })
  afterAll(async () => {
    await deployment.stop()
    await network.cut()
    await redis.stop('SIGKILL')
    await storage.drop()
  })

  /**
   * Watches one key on the first server while both meter with it and the fault happens. Expects calls of the same server
   * at once, those of the other within `catchUpMs`, no effect on metering, and that no subscription ends.
   */
  async function under(goes: () => unknown, comesBack: () => unknown): Promise<void> {
    const customer = await deployment.customer({ keys: 1, maxApiKeys: 20 })
    const [{ id, secret }] = customer.keys as [{ id: string; secret: string }]
    const token = await deployment.gatewayToken()
    const gateways = deployment.servers.map(({ url }) => new Gateway(() => url, token))
    const [here, there] = gateways as [Gateway, Gateway]
    const watcher = new LiveUsageWatcher(deployment.app(0), customer.token)
    await watcher.until(({ events }) => events.length === 1)
    let calls = 0
    const meter = async (gateway: Gateway) => {
      const { code, ms } = await gateway.call(secret)
      expect([code, ms < slackMs]).toEqual(['ADMITTED', true])
      calls++
    }
    const seen = (withinMs: number) => watcher.until(({ counts }) => counts.get(id) === calls, withinMs)

    await meter(there)
    await seen(catchUpMs + slackMs)
    await goes()
    await meter(here)
    await seen(1_000 + slackMs)
    for (let i = 0; i < 2; i++) {
      await meter(there)
      await seen(catchUpMs + slackMs)
    }
    await deployment.app(1).query(AddApiKey, { as: customer.token, variables: { input: {} } })
    await comesBack()
    await meter(there)
    await seen(catchUpMs + slackMs)
    // Once both have reconnected, calls of the other server arrive by message again.
    await expect
      .poll(
        async () => {
          const events = watcher.events.length
          await meter(there)
          await watcher.until((of) => of.events.length > events, 500).catch(() => {})
          return watcher.counts.get(id) === calls
        },
        { timeout: 10_000 },
      )
      .toBe(true)
    expect([watcher.ended, watcher.errors]).toEqual([false, []])
    await watcher.close()
    for (const gateway of gateways) await gateway.close()
  }

  it('meter and show counts while it is stopped', () =>
    under(
      () => redis.stop(),
      () => redis.start(),
    ))

  it('meter and show counts after kill -9 of it', () =>
    under(
      () => redis.stop('SIGKILL'),
      () => redis.start(),
    ))

  it('meter and show counts while it is frozen: it accepts everything and answers nothing', () =>
    under(
      () => redis.freeze(),
      () => redis.thaw(),
    ))

  it('meter and show counts while the network to it is cut', () =>
    under(
      () => network.cut(),
      () => network.mend(),
    ))

  it('meter and show counts while the network to it delivers nothing', () =>
    under(
      () => network.freeze(),
      () => network.thawWithLosses(),
    ))

  it('are joined by a server that starts while it is away', async () => {
    await network.cut()
    const { secrets } = await deployment.customer({ keys: 1 })
    const joining = await deployment.startServer(2)
    const gateway = new Gateway(() => joining.url, await deployment.gatewayToken())
    expect((await gateway.call(secrets[0] as string)).code).toBe('ADMITTED')
    await network.mend()
    await gateway.close()
  })

  it('lose no count under load while it comes and goes', async () => {
    const customer = await deployment.customer()
    const watcher = new LiveUsageWatcher(deployment.app(0), customer.token)
    await watcher.until(({ events }) => events.length === 1)
    const load = await deployment.load(customer.secrets)
    for (const [goes, comesBack] of [
      [() => redis.stop('SIGKILL'), () => redis.start()],
      [() => redis.freeze(), () => redis.thaw()],
      [() => network.cut(), () => network.mend()],
    ] as const) {
      await load.sees('ADMITTED', 100)
      await goes()
      await load.sees('ADMITTED', 100)
      await comesBack()
    }
    await load.sees('ADMITTED', 100)
    const ledger = await load.stop()
    expect(ledger.codes).toEqual(['ADMITTED'])
    const pool = connectTo(storage, 1)
    await ledger.expectTrueCounts(async (text) => (await pool.query(text)).rows)
    await pool.end()
    for (const { id, secret } of customer.keys)
      await watcher.until(
        ({ counts }) => counts.get(id) === ledger.count('ADMITTED', secret),
        catchUpMs + slackMs,
      )
    expect([watcher.ended, watcher.errors]).toEqual([false, []])
    await watcher.close()
  })
})
