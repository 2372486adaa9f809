import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { LiveUsage } from '../../../src/domain/live-usage/live-usage.ts'
import type { LiveUsageStore, UsageSnapshot } from '../../../src/domain/live-usage/usage-pages.ts'

/** A store whose reads end when the test says so. */
class HeldStore implements LiveUsageStore {
  /** The accounts whose reads have begun, in that order. */
  readonly begun: string[] = []
  readonly #held: (() => void)[] = []
  running = 0
  mostRunning = 0

  async readUsage(accountId: string): Promise<UsageSnapshot> {
    this.begun.push(accountId)
    this.mostRunning = Math.max(this.mostRunning, ++this.running)
    await new Promise<void>((end) => this.#held.push(end))
    this.running--
    return { account: { calls: 0, quota: null }, apiKeys: [] }
  }

  async endAll(): Promise<void> {
    while (this.#held.length > 0) {
      this.#held.shift()?.()
      await turn()
    }
  }
}

/** A clock whose timers fire when the test says so. */
class HeldClock implements Clock {
  timers: { waitMs: number; callback: () => void }[] = []
  now = () => new Date('2026-11-15T00:00:00Z')
  at = () => () => {}

  after(waitMs: number, callback: () => void): () => void {
    const timer = { waitMs, callback }
    this.timers.push(timer)
    return () => this.timers.splice(this.timers.indexOf(timer), 1)
  }

  /** Fires the timers that wait less than `waitMs`. */
  fireBelow(waitMs: number): void {
    const due = this.timers.filter((timer) => timer.waitMs < waitMs)
    this.timers = this.timers.filter((timer) => timer.waitMs >= waitMs)
    for (const { callback } of due) callback()
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const accountIds = Array.from({ length: 100 }, (_, i) => `account-${i}`)

async function watchAll(random = () => 0.5) {
  const [store, clock] = [new HeldStore(), new HeldClock()]
  const liveUsage = new LiveUsage({
    store,
    clock,
    statement: (_, run) => run(),
    intervalMs: 20,
    lateCommitMs: 0,
    random,
  })
  for (const accountId of accountIds) void liveUsage.watch({ accountId }).next()
  await turn()
  await store.endAll()
  store.begun.length = 0
  store.mostRunning = 0
  return { store, clock, liveUsage }
}

describe('live usage', () => {
  it.each(['inDoubt', 'plansChanged'] as const)(
    'reads few accounts at a time after %s, each once and in order',
    async (happens) => {
      const { store, clock, liveUsage } = await watchAll()
      liveUsage[happens]()
      clock.fireBelow(1_000)
      await turn()
      expect(store.begun).toEqual(accountIds.slice(0, 4))
      await store.endAll()
      expect([store.begun, store.mostRunning]).toEqual([accountIds, 4])
      liveUsage.close()
    },
  )

  it('reads for a new subscriber at once, while other accounts wait to be read again', async () => {
    const { store, clock, liveUsage } = await watchAll()
    liveUsage.inDoubt()
    clock.fireBelow(1_000)
    await turn()
    for (const accountId of ['account-50', 'new']) void liveUsage.watch({ accountId }).next()
    await turn()
    expect(store.begun.slice(4)).toEqual(['account-50', 'new'])
    await store.endAll()
    expect(store.begun.filter((accountId) => accountId === 'account-50')).toHaveLength(1)
    expect(store.begun).toHaveLength(101)
    liveUsage.close()
  })

  it('waits a random time before it reads all accounts again, and merges what happens meanwhile', async () => {
    const { store, clock, liveUsage } = await watchAll(() => 0.25)
    liveUsage.plansChanged()
    liveUsage.plansChanged()
    expect(clock.timers.map(({ waitMs }) => waitMs)).toEqual([50])
    await turn()
    expect(store.begun).toEqual([])
    clock.fireBelow(1_000)
    await turn()
    await store.endAll()
    expect(store.begun).toHaveLength(100)
    liveUsage.close()
  })

  it('reads nothing more once it is closed', async () => {
    const { store, clock, liveUsage } = await watchAll()
    liveUsage.plansChanged()
    clock.fireBelow(1_000)
    await turn()
    liveUsage.inDoubt()
    liveUsage.close()
    expect(clock.timers).toEqual([])
    await store.endAll()
    expect(store.begun).toHaveLength(4)
  })
})
