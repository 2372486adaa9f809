import { describe, expect, it } from 'vitest'
import { LiveUsage } from '../../../src/domain/live-usage/live-usage.ts'
import type { LiveUsageStore, UsageSnapshot } from '../../../src/domain/live-usage/usage-pages.ts'
import { TestClock } from '../../support/clock.ts'

const apiKeyId = 'key'

/** A store that knows how often one key was called in each month. */
class CountingStore implements LiveUsageStore {
  calls = 0

  async readUsage(): Promise<UsageSnapshot> {
    const { calls } = this
    return { account: { calls, quota: null }, apiKeys: [{ apiKeyId, calls, lastCallAt: null, limit: null }] }
  }
}

function liveUsageWith(clock: TestClock) {
  const store = new CountingStore()
  const liveUsage = new LiveUsage({
    store,
    clock,
    statement: (_, run) => run(),
    intervalMs: 20,
    lateCommitMs: 0,
  })
  return { store, liveUsage }
}

describe('a watcher', () => {
  it('goes on receiving counts when the clock is set back', async () => {
    const clock = new TestClock()
    const { store, liveUsage } = liveUsageWith(clock)
    const watcher = liveUsage.watch({ accountId: 'account' })
    await watcher.next()
    clock.set(new Date(clock.now().getTime() - 60_000))
    store.calls = 1
    liveUsage.accountChanged('account')
    expect((await watcher.next()).value).toMatchObject({ account: { calls: 1 } })
    liveUsage.close()
  }, 10_000)

  it('has at least the interval between two events', async () => {
    const { store, liveUsage } = liveUsageWith(new TestClock())
    const watcher = liveUsage.watch({ accountId: 'account' })
    await watcher.next()
    const startMs = performance.now()
    for (let event = 1; event <= 5; event++) {
      store.calls = event
      liveUsage.accountChanged('account')
      await watcher.next()
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(event * 20 - 1)
    }
    liveUsage.close()
  })

  it('waits for its turn, for as many keys as the account has, and then takes the newest counts', async () => {
    const { store, liveUsage } = liveUsageWith(new TestClock())
    const turns: { apiKeys: number; begin: () => void }[] = []
    const turn = (apiKeys: number) => new Promise<void>((begin) => turns.push({ apiKeys, begin }))
    const watcher = liveUsage.watch({ accountId: 'account', turn })
    const first = watcher.next()
    await expect.poll(() => turns.length).toBe(1)
    store.calls = 7
    const other = liveUsage.watch({ accountId: 'account' })
    expect((await other.next()).value).toMatchObject({ account: { calls: 7 } })
    expect(turns.map(({ apiKeys }) => apiKeys)).toEqual([1])
    turns[0]?.begin()
    expect((await first).value).toMatchObject({ snapshot: true, account: { calls: 7 } })
    liveUsage.close()
  })

  it('sees the new month without a call, all of 500 accounts', async () => {
    const clock = new TestClock(new Date('2027-01-31T23:59:59.800Z'))
    const { liveUsage } = liveUsageWith(clock)
    const watchers = Array.from({ length: 500 }, (_, i) => liveUsage.watch({ accountId: `account-${i}` }))
    const seesNewMonth = async (watcher: (typeof watchers)[number]) => {
      let month: string | undefined
      do month = (await watcher.next()).value?.month
      while (month === '2027-01')
      expect(month).toBe('2027-02')
    }
    await Promise.all(watchers.map(seesNewMonth))
    liveUsage.close()
  }, 10_000)
})
