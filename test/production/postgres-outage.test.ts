import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Network } from '../support/network.ts'
import { AddApiKey } from '../support/operations.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'
import { meterTimeoutMs, recoveryMs, slackMs } from './support/bounds.ts'
import { Deployment } from './support/deployment.ts'
import type { Ledger } from './support/ledger.ts'
import type { Load } from './support/load.ts'
import { PrivatePostgres } from './support/private-postgres.ts'
import { canRunPostgres, eventually } from './support/programs.ts'

type Customer = Awaited<ReturnType<Deployment['customer']>>

describe.runIf(canRunPostgres)('two servers that lose PostgreSQL', () => {
  let postgres: PrivatePostgres
  let network: Network
  let deployment: Deployment

  beforeAll(async () => {
    postgres = await PrivatePostgres.start()
    network = await Network.to(postgres.port)
    const databaseUrl = `postgres://postgres@127.0.0.1:${network.port}/postgres`
    deployment = await Deployment.start({ servers: 2, databaseUrl })
  })
  afterAll(async () => {
    await deployment.stop()
    await network.cut()
    await postgres.remove()
  })

  interface Fault {
    customer: Customer
    load: Load
  }

  /**
   * Meters with three keys from many callers on both servers while `fault` happens and is repaired. Expects that no call
   * hangs or is late, that calls are admitted again soon after, and that every count is true. Returns the outcomes.
   */
  async function under(fault: (of: Fault) => Promise<void>): Promise<Ledger> {
    const customer = await deployment.customer()
    const load = await deployment.load(customer.secrets)
    await load.sees('ADMITTED', 100)
    await fault({ customer, load })
    expect(await load.allSee('ADMITTED')).toBeLessThan(recoveryMs + slackMs)
    await load.sees('ADMITTED', 100)
    const ledger = await load.stop()
    expect(ledger.codes.filter((code) => !/^(ADMITTED|UNAVAILABLE)$/.test(code))).toEqual([])
    expect(ledger.count('UNAVAILABLE')).toBeGreaterThan(0)
    expect(ledger.slowestMs).toBeLessThan(meterTimeoutMs + slackMs)
    await ledger.expectTrueCounts((text) => postgres.query(text))
    for (const server of deployment.servers)
      await eventually(async () => expect((await fetch(`${server.url}/ready`)).status).toBe(200), 5_000)
    return ledger
  }

  /** Expects other operations to fail with the same code. */
  async function addIsAnswered(code: string, { token }: Customer): Promise<void> {
    const { errors } = await deployment.app().query(AddApiKey, { as: token, variables: { input: {} } })
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual([code])
  }

  it('answer UNAVAILABLE at once while it restarts, and recover when it is back', () =>
    under(async ({ customer, load }) => {
      await postgres.stop()
      await load.sees('UNAVAILABLE', 20)
      await addIsAnswered('UNAVAILABLE', customer)
      const { url } = deployment.servers[0] as { url: string }
      const [ready, health] = await Promise.all([fetch(`${url}/ready`), fetch(`${url}/health`)])
      expect([ready.status, health.status]).toEqual([503, 200])
      await postgres.start()
    }))

  it('recover after it has crashed', () =>
    under(async ({ load }) => {
      await postgres.stop('SIGQUIT')
      await load.sees('UNAVAILABLE', 20)
      await postgres.start()
    }))

  it('recover after kill -9 of one of its processes, which makes it end all others', () =>
    under(async ({ load }) => {
      const fell = load.sees('UNAVAILABLE', 1)
      await postgres.killBackend()
      await fell
      await postgres.accepts()
    }))

  it('recover after the network was cut', () =>
    under(async ({ load }) => {
      await network.cut()
      await load.sees('UNAVAILABLE', 20)
      await network.mend()
    }))

  it('answer in time while the network delivers nothing, and recover when what was sent arrives late', () =>
    under(async ({ load }) => {
      network.freeze()
      await load.sees('UNAVAILABLE', 30)
      network.thaw()
    }))

  it('answer in time and recover when what was in flight is lost silently', () =>
    under(async ({ load }) => {
      network.freeze()
      await load.sees('UNAVAILABLE', 30)
      network.thawWithLosses()
    }))

  it('count no call twice when answers to commits are lost', async () => {
    const stored = async () => {
      const [row] = await postgres.query<{ calls: number }>(
        'select sum(calls)::int as calls from account_usage',
      )
      return row?.calls ?? 0
    }
    const before = await stored()
    const ledger = await under(async ({ load }) => {
      for (let round = 0, untold = 0; round < 8; round++) {
        network.loseAnswers()
        // Proves the fault: once no more answers arrive, more calls are stored than were answered.
        await eventually(async () => {
          const { length } = load.ledger.outcomes
          const found = (await stored()) - before - load.ledger.count('ADMITTED')
          if (found <= untold || load.ledger.outcomes.length > length) throw new Error('Nothing was lost.')
          untold = found
        }, 5_000)
        network.thawWithLosses()
        await load.allSee('ADMITTED')
      }
    })
    expect((await stored()) - before).toBeGreaterThan(ledger.count('ADMITTED'))
  })

  it('answer in time while the network is slower than METER_TIMEOUT_MS, and recover afterwards', () =>
    under(async ({ load }) => {
      network.slow(meterTimeoutMs)
      await load.sees('UNAVAILABLE', 30)
      network.slow(0)
    }))

  it('answer UNAVAILABLE while it is read-only, on new and on existing connections', () =>
    under(async ({ customer, load }) => {
      await postgres.query('alter system set default_transaction_read_only = on')
      await postgres.query('select pg_reload_conf()')
      await load.sees('UNAVAILABLE', 20)
      await addIsAnswered('UNAVAILABLE', customer)
      await postgres.query('alter system reset default_transaction_read_only')
      await postgres.query('select pg_reload_conf()')
    }))

  it('answer UNAVAILABLE while its disk is full', () =>
    under(async ({ customer, load }) => {
      await postgres.query(`create function disk_full() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
      for (const table of ['account_usage', 'api_key'])
        await postgres.query(
          `create trigger full_disk before insert or update on ${table} execute function disk_full()`,
        )
      await load.sees('UNAVAILABLE', 20)
      await addIsAnswered('UNAVAILABLE', customer)
      // One table at a time: a statement that locks both could deadlock with a call.
      for (const table of ['account_usage', 'api_key'])
        await postgres.query(`drop trigger full_disk on ${table}`)
      await postgres.query('drop function disk_full()')
    }))

  it('answer UNAVAILABLE in time when a statement takes too long, and have the database end it', () =>
    under(async ({ load }) => {
      await postgres.query(`create function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(20); return new; end $$`)
      await postgres.query('create trigger slow before insert on account_usage execute function slow()')
      await load.sees('UNAVAILABLE', 30)
      await postgres.query('drop function slow() cascade')
    }))

  it('answer UNAVAILABLE in time for as long as somebody holds a lock', () =>
    under(async ({ load }) => {
      const holder = new pg.Client({ connectionString: postgres.url })
      await holder.connect()
      await holder.query('begin')
      await holder.query('select from account_usage for update')
      // All callers, several times over: the lock is held for several times METER_TIMEOUT_MS.
      await load.sees('UNAVAILABLE', 60, 30_000)
      await holder.query('rollback')
      await holder.end()
    }))

  it('still meter while every other statement waits', async () => {
    const customer = await deployment.customer()
    // An account has no more than a third of the connections.
    const others = await Promise.all(Array.from({ length: 3 }, () => deployment.customer()))
    const holder = new pg.Client({ connectionString: postgres.url })
    await holder.connect()
    await holder.query('begin')
    // Adds to one account wait for this; metering does not.
    await holder.query('select from account for no key update')
    const adds = [customer, ...others].flatMap(({ token }) =>
      Array.from({ length: 10 }, () =>
        deployment.app().query(AddApiKey, { as: token, variables: { input: {} } }),
      ),
    )
    // DATABASE_POOL_SIZE, without the two connections that are for metering.
    await expect
      .poll(() => postgres.query("select from pg_stat_activity where wait_event_type = 'Lock'"), {
        timeout: 5_000,
      })
      .toHaveLength(8)
    const load = await deployment.load(customer.secrets)
    for (let i = 0; i < 10; i++) await load.allSee('ADMITTED')
    await holder.query('rollback')
    await holder.end()
    await Promise.all(adds)
    const ledger = await load.stop()
    expect(ledger.codes).toEqual(['ADMITTED'])
    await ledger.expectTrueCounts((text) => postgres.query(text))
  })

  it('show a subscriber the true counts afterwards', async () => {
    const customer = await deployment.customer({ keys: 1 })
    const [{ id, secret }] = customer.keys as [{ id: string; secret: string }]
    const watcher = new LiveUsageWatcher(deployment.app(1), customer.token)
    await watcher.until(({ events }) => events.length === 1)
    const load = await deployment.load([secret])
    await load.sees('ADMITTED', 50)
    network.freeze()
    await load.sees('UNAVAILABLE', 20)
    network.thaw()
    await load.sees('ADMITTED', 50)
    await load.stop()
    const { apiKeys } = await customer.account()
    const stored = apiKeys.nodes.find((key) => key.id === id)?.usage.calls
    await watcher.until(({ counts }) => counts.get(id) === stored)
    expect([watcher.ended, watcher.errors]).toEqual([false, []])
    await watcher.close()
  })
})
