import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RequestPurge } from '../../src/domain/metering/request-purge.ts'
import { fixedLimits } from '../../src/limits.ts'
import { forgetRequestsStatement } from '../../src/storage/sql/forget-requests.ts'
import { SqlUsageStore } from '../../src/storage/usage-store.ts'
import {
  connectTo,
  createStorage,
  databases,
  startApp,
  type TestApp,
  type TestStorage,
} from '../support/app.ts'

const now = new Date('2026-11-15T12:00:00.000Z')
const keptMs = 25 * 3_600_000

describe.each(databases)('ids of calls on %s', (database) => {
  let storage: TestStorage
  let app: TestApp

  beforeAll(async () => {
    storage = await createStorage(database)
    app = await startApp({ storage })
    app.clock.set(now)
  })
  afterAll(async () => {
    await app.stop()
    await storage.drop()
  })

  const insert = (count: number, at: Date) =>
    app.services.prisma.meteredRequest.createMany({
      data: Array.from({ length: count }, () => ({
        ...{ apiKeyId: randomUUID(), requestId: 'r', apiCallId: randomUUID(), at },
      })),
    })

  it('are removed 25 hours later, step by step without waiting for the next minute, and no others', async () => {
    const { forgottenRequests, forgetRequestsEveryMs } = fixedLimits
    const old = new Date(now.getTime() - keptMs)
    await insert(forgottenRequests + 10, old)
    await insert(7, new Date(old.getTime() + 1))
    const waits: number[] = []
    let next: (() => void) | undefined
    const clock = {
      now: () => now,
      at: () => () => {},
      after: (waitMs: number, callback: () => void) => {
        waits.push(waitMs)
        next = callback
        return () => {}
      },
    }
    const store = {
      forgetRequests: (before: Date, most: number) =>
        app.services.prisma.$executeRawUnsafe(forgetRequestsStatement.text, before, most),
    }
    const failed: unknown[] = []
    const purge = new RequestPurge({ store, clock, onError: (error) => failed.push(error) })
    for (let step = 0; step < 2; step++) {
      const run = next
      next = undefined
      run?.()
      while (!next) await new Promise((resolve) => setImmediate(resolve))
    }
    await purge.stop()
    expect(failed).toEqual([])
    expect(waits).toEqual([forgetRequestsEveryMs, 1, forgetRequestsEveryMs])
    expect(await app.services.prisma.meteredRequest.count()).toBe(7)
  })

  it.runIf(database === 'PostgreSQL')('are removed by one server at a time', async () => {
    await insert(3, new Date(now.getTime() - 2 * keptMs))
    const pool = connectTo(storage, 2)
    const store = new SqlUsageStore(pool, pool)
    const other = await pool.connect()
    await other.query('select pg_advisory_lock(7201846132)')
    expect(await store.forgetRequests(new Date(now.getTime() - keptMs), 10)).toBe(0)
    await other.query('select pg_advisory_unlock(7201846132)')
    other.release()
    expect(await store.forgetRequests(new Date(now.getTime() - keptMs), 10)).toBe(3)
    await pool.end()
  })
})
