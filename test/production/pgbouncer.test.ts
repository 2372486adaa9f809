import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { refusalToStart } from '../support/server-process.ts'
import { Deployment } from './support/deployment.ts'
import { Gateway } from './support/gateway.ts'
import { PrivatePgBouncer } from './support/private-pgbouncer.ts'
import { PrivatePostgres } from './support/private-postgres.ts'
import { canRunPgBouncer } from './support/programs.ts'

describe.runIf(canRunPgBouncer)('behind PgBouncer', () => {
  let postgres: PrivatePostgres
  let pgBouncer: PrivatePgBouncer

  beforeAll(async () => {
    postgres = await PrivatePostgres.start()
  })
  afterEach(() => pgBouncer.remove())
  afterAll(() => postgres.remove())

  describe('in session mode', () => {
    it('keys, metering and time limits work, and a broken connection is replaced', async () => {
      pgBouncer = await PrivatePgBouncer.start(postgres.port, 'pool_mode = session')
      const deployment = await Deployment.start({ databaseUrl: pgBouncer.url })
      const customer = await deployment.customer({ keys: 2 })
      const [used, removed] = customer.keys as [{ id: string; secret: string }, { secret: string }]
      const gateway = new Gateway(deployment.urlOf.bind(deployment, 0), await deployment.gatewayToken())
      expect((await gateway.call(used.secret)).code).toBe('ADMITTED')
      expect((await gateway.call(removed.secret)).code).toBe('ADMITTED')

      // PostgreSQL, not only the server, ends a statement that waits too long for a lock.
      const holder = new pg.Client({ connectionString: postgres.url })
      await holder.connect()
      await holder.query('begin; update account_usage set calls = calls')
      expect((await gateway.call(used.secret)).code).toBe('UNAVAILABLE')
      await expect.poll(() => postgres.log).toContain('canceling statement due to statement timeout')
      await holder.query('rollback')
      await holder.end()
      expect((await gateway.call(used.secret)).code).toBe('ADMITTED')

      const ended = await postgres.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%charged as%' and pid <> pg_backend_pid()",
      )
      expect(ended.length).toBeGreaterThan(0)
      await expect.poll(async () => (await gateway.call(used.secret)).code).toBe('ADMITTED')
      await gateway.close()
      await deployment.stop()
    })
  })

  it.each([
    ['transaction', 'pool_mode = transaction'],
    ['transaction, using its sessions in turn', 'pool_mode = transaction', 'server_round_robin = 1'],
    ['transaction, with one session', 'pool_mode = transaction', 'default_pool_size = 1'],
    ['statement', 'pool_mode = statement'],
  ])('in mode %s, the start is refused with exit code 78 and one sentence', async (_, ...settings) => {
    pgBouncer = await PrivatePgBouncer.start(postgres.port, ...settings)
    const { exitCode, output } = await refusalToStart({
      NODE_ENV: 'production',
      AUTH_SECRET: 'a secret of production that has enough bytes',
      DATABASE_URL: pgBouncer.url,
    })
    expect([exitCode, output]).toEqual([
      78,
      'DATABASE_URL leads to a pooler in transaction or statement mode, which Latchkey does not support. ' +
        'Use session mode (PgBouncer: pool_mode = session), or connect to PostgreSQL directly.',
    ])
  })
})
