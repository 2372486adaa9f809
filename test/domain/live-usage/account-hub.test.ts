import { describe, expect, it } from 'vitest'
import { type Clock, createSystemClock } from '../../../src/clock.ts'
import { AccountHub } from '../../../src/domain/live-usage/account-hub.ts'
import { nothingRead } from '../../../src/domain/live-usage/count-list.ts'
import { RereadQueue } from '../../../src/domain/live-usage/reread-queue.ts'
import type { UsageSnapshot } from '../../../src/domain/live-usage/usage-pages.ts'

const month = '2026-11'

/** A store whose reads end when the test says so. */
class HeldStore {
  readonly reads: { end: (usage: UsageSnapshot) => void; fail: (error: Error) => void }[] = []

  readUsage(): Promise<UsageSnapshot> {
    return new Promise((end, fail) => this.reads.push({ end, fail }))
  }
}

/** A clock whose timers fire when the test says so. */
class HeldClock implements Clock {
  readonly retries: (() => void)[] = []
  now = () => new Date(`${month}-15T00:00:00Z`)
  at = () => () => {}

  after(_waitMs: number, callback: () => void): () => void {
    this.retries.push(callback)
    return () => this.retries.splice(this.retries.indexOf(callback), 1)
  }
}

const usageOf = (calls: number): UsageSnapshot => ({
  account: { calls, quota: null },
  apiKeys: [{ apiKeyId: 'key', calls, lastCallAt: null, limit: null }],
})
const turn = () => new Promise((resolve) => setImmediate(resolve))

function hubOver(store: HeldStore, clock: Clock = new HeldClock()) {
  const hub = new AccountHub(() => store.readUsage(), clock, new RereadQueue(1))
  return { hub, callsSeen: () => hub.counts.since(nothingRead, undefined)?.event.account.calls }
}

describe('an account hub', () => {
  it('reads once for all watchers that join together', async () => {
    const store = new HeldStore()
    const { hub } = hubOver(store)
    const watchers = [hub.watch(() => {}), hub.watch(() => {}), hub.watch(() => {})]
    await turn()
    expect(store.reads).toHaveLength(1)
    store.reads[0]?.end(usageOf(1))
    await Promise.all(watchers.map(({ ready }) => ready))
    await turn()
    expect(store.reads).toHaveLength(1)
  })

  it('gives a watcher that joins during a read the next one, which begins after it', async () => {
    const store = new HeldStore()
    const { hub, callsSeen } = hubOver(store)
    const early = hub.watch(() => {})
    await turn()
    const late = hub.watch(() => {})
    await turn()
    expect(store.reads).toHaveLength(1)
    store.reads[0]?.end(usageOf(1))
    await early.ready
    await turn()
    store.reads[1]?.end(usageOf(2))
    await late.ready
    expect([store.reads.length, callsSeen()]).toEqual([2, 2])
  })

  it('keeps counts that arrive during a read which has not seen them', async () => {
    const store = new HeldStore()
    const { hub, callsSeen } = hubOver(store)
    const { ready } = hub.watch(() => {})
    await turn()
    hub.receive({ kind: 'counted', month, ...usageOf(7) })
    store.reads[0]?.end(usageOf(5))
    await ready
    expect(callsSeen()).toBe(7)
    expect(hub.counts.since(nothingRead, undefined)?.event.apiKeys).toMatchObject([
      { apiKeyId: 'key', calls: 7 },
    ])
  })

  it('retries a read for counts in doubt until it succeeds', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    const { hub, callsSeen } = hubOver(store, clock)
    const { ready } = hub.watch(() => {})
    await turn()
    store.reads[0]?.end(usageOf(1))
    await ready
    hub.receive({ kind: 'in doubt' })
    for (const failed of [1, 2]) {
      await turn()
      store.reads[failed]?.fail(new Error('The database is gone.'))
      await turn()
      expect(clock.retries).toHaveLength(1)
      clock.retries.shift()?.()
    }
    await turn()
    store.reads[3]?.end(usageOf(3))
    await turn()
    expect([callsSeen(), clock.retries.length, store.reads.length]).toEqual([3, 0, 4])
  })

  it('reads at once for a new watcher while a retry is due, and does not retry as well', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    const { hub } = hubOver(store, clock)
    hub.receive({ kind: 'changed' })
    await turn()
    store.reads[0]?.fail(new Error('The database is gone.'))
    await turn()
    const { ready } = hub.watch(() => {})
    await turn()
    store.reads[1]?.end(usageOf(1))
    await ready
    await turn()
    expect([clock.retries.length, store.reads.length]).toEqual([0, 2])
  })

  it('tells a watcher that its first read failed, and does not retry for it', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    const { ready } = hubOver(store, clock).hub.watch(() => {})
    await turn()
    store.reads[0]?.fail(new Error('The database is gone.'))
    await expect(ready).rejects.toThrow('The database is gone.')
    await turn()
    expect([clock.retries.length, store.reads.length]).toEqual([0, 1])
  })

  it('lets go of those who wait, and reads nothing more, once it is closed', async () => {
    const store = new HeldStore()
    const { hub } = hubOver(store, { ...createSystemClock(), at: () => () => {} })
    const reading = hub.watch(() => {})
    await turn()
    const waiting = hub.watch(() => {})
    hub.close()
    await waiting.ready
    store.reads[0]?.end(usageOf(1))
    await reading.ready
    hub.receive({ kind: 'changed' })
    await turn()
    expect(store.reads).toHaveLength(1)
    expect(() => hub.close()).toThrow('no transition from "closed" to "closed"')
  })
})
