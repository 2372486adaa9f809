import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/storage/database.ts'
import { migrate, SchemaError } from '../../src/storage/migrate.ts'
import { connectTo, createStorage, databases, startApp, type TestStorage } from '../support/app.ts'

const emptyDatabases = databases.filter((kind) => kind === 'PostgreSQL')

describe.each(emptyDatabases)('migrations on %s', (kind) => {
  let storage: TestStorage
  let pools: pg.Pool[]
  const connect = () => {
    const pool = connectTo(storage, 2)
    pools.push(pool)
    return pool
  }

  beforeEach(async () => {
    storage = await createStorage(kind)
    pools = []
  })
  afterEach(async () => {
    for (const pool of pools) await pool.end()
    await storage.drop()
  })

  it('are applied once when ten servers start at the same time', async () => {
    const applied = await Promise.all(Array.from({ length: 10 }, () => migrate(connect())))
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1)
    const { rows } = await connect().query(
      'select migration_name, applied_steps_count, finished_at from _prisma_migrations',
    )
    expect(rows.map(({ migration_name }) => migration_name)).toEqual(applied.flat())
    expect(rows.every(({ finished_at }) => finished_at !== null)).toBe(true)
  })

  it('that this version does not know are refused with an explanation', async () => {
    const pool = connect()
    await migrate(pool)
    await pool.query(
      "insert into _prisma_migrations (id, checksum, migration_name, finished_at) values ('x', 'x', '29990101000000_later', now())",
    )
    await expect(migrate(pool)).rejects.toThrow(/29990101000000_later.*does not know/)
  })

  it('that were changed after they were applied, or did not finish, are refused', async () => {
    const pool = connect()
    await migrate(pool)
    await pool.query("update _prisma_migrations set checksum = 'another'")
    await expect(migrate(pool)).rejects.toThrow(/was changed after/)
    await pool.query('update _prisma_migrations set finished_at = null')
    await expect(migrate(pool)).rejects.toThrow(/did not finish/)
  })

  it('need no role that may change the schema if none is pending', async () => {
    const pool = connect()
    await migrate(pool)
    await withRole(async (restricted) => expect(await migrate(restricted)).toEqual([]))
  })

  it('that the role may not apply are refused with an explanation: the schema is older than this version', async () => {
    await withRole(async (restricted) => {
      await expect(migrate(restricted)).rejects.toThrow(SchemaError)
      await expect(migrate(restricted)).rejects.toThrow(
        /is older than .* lacks the migration \d+_init, .*denied/,
      )
    })
  })

  it('that cannot be applied to a read-only database are refused with an explanation', async () => {
    const readOnly = connectTo(storage, 1, '-c default_transaction_read_only=on')
    pools.push(readOnly)
    await expect(migrate(readOnly)).rejects.toThrow(/is older than .*read-only/)
  })

  it('fail with the first error, and release the lock, when the connection breaks', async () => {
    const pool = connect()
    const doomed = connectTo(storage, 1)
    doomed.on('connect', (client) => {
      const query = client.query.bind(client)
      // The server ends this session in the middle of the first migration.
      const breaking = (statement: { text?: string }, ...rest: []) =>
        statement.text?.includes('CREATE TABLE')
          ? query('select pg_terminate_backend(pg_backend_pid())')
          : query(statement as string, ...rest)
      client.query = breaking as typeof client.query
    })
    pools.push(doomed)
    await expect(migrate(doomed)).rejects.toMatchObject({ code: '57P01' })
    expect((await migrate(pool)).length).toBeGreaterThan(0)
  })

  /** Connects as a role that may read and write tables but not create any. */
  async function withRole(use: (pool: pg.Pool) => Promise<void>): Promise<void> {
    const admin = connect()
    const role = `latchkey_test_${process.pid}_${Date.now()}`
    await admin.query(`create role ${role}`)
    await admin.query('revoke create on schema public from public')
    await admin.query(`grant select, insert, update, delete on all tables in schema public to ${role}`)
    const restricted = connectTo(storage, 1, `-c role=${role}`)
    await use(restricted)
    await restricted.end()
    await admin.query(`drop owned by ${role}`)
    await admin.query(`drop role ${role}`)
  }

  it('leave one catalogue when several servers start on an empty database at the same time', async () => {
    const apps = await Promise.all(Array.from({ length: 5 }, () => startApp({ storage })))
    const [app] = apps
    const [counts] =
      (await app?.sql<{ plans: bigint; calls: bigint }>(
        'select (select count(*) from plan) as plans, (select count(*) from api_call) as calls',
      )) ?? []
    expect(Number(counts?.plans)).toBe(4)
    expect(Number(counts?.calls)).toBeGreaterThan(40)
    for (const one of apps) await one.stop()
  })
})

describe('the embedded database', () => {
  it('is refused to a second process while the first uses it, and free again afterwards', async () => {
    const storage = await createStorage('embedded')
    const open = () => openDatabase({ dataDir: storage.environment.DATA_DIR ?? '', onIdleError: () => {} })
    const first = await open()
    await expect(open()).rejects.toThrow(/in use by another Latchkey process/)
    await first.close()
    const second = await open()
    await second.close()
    await storage.drop()
  })
})
