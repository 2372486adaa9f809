import { describe, expect, it } from 'vitest'
import { type Clock, createSystemClock } from '../../../src/clock.ts'
import { Meter, type MeterOptions } from '../../../src/domain/metering/meter.ts'
import type { CallGroup, Charge, UsageStore } from '../../../src/domain/metering/usage-store.ts'
import { generateSecret } from '../../../src/domain/secret.ts'
import { OverloadedError, UnavailableError } from '../../../src/errors.ts'

/** A store that admits everything and whose commits end when the test says so. */
class HeldStore implements UsageStore {
  readonly commits: { groups: readonly CallGroup[]; end: (error?: Error) => void }[] = []
  #calls = 0

  charge(_month: string, _at: Date, groups: readonly CallGroup[], timeUp: AbortSignal): Promise<Charge> {
    return new Promise((resolve, reject) => {
      timeUp.addEventListener('abort', () => reject(timeUp.reason))
      const end = (error?: Error) => (error ? reject(error) : resolve(this.#chargeOf(groups)))
      this.commits.push({ groups, end })
    })
  }

  #chargeOf(groups: readonly CallGroup[]): Charge {
    this.#calls += groups.reduce((sum, { calls }) => sum + calls, 0)
    const account = { externalId: 'x', calls: this.#calls, quota: null, charged: true }
    return {
      verdicts: groups.map(() => ({
        ...{ apiKeyId: 'key', accountId: 'account', verdict: 'allowed', previousSecret: false },
        ...{ needs: { resources: false, addresses: false }, limitedApiCallId: null },
      })),
      accounts: new Map([['account', account]]),
      apiKeyCalls: new Map([['key', this.#calls]]),
      ...{ apiKeyLimits: new Map(), buckets: new Map(), resources: new Map() },
    }
  }
}

/** A clock whose timers fire when the test says so. */
class HeldClock implements Clock {
  readonly timers: { waitMs: number; callback: () => void }[] = []
  now = () => new Date()
  at = () => () => {}

  after(waitMs: number, callback: () => void): () => void {
    const timer = { waitMs, callback }
    this.timers.push(timer)
    return () => {
      timer.callback = () => {}
    }
  }

  /** Fires the nth timer that was set, from 0. */
  fire(index: number): void {
    this.timers[index]?.callback()
  }
}

const call = { secret: generateSecret('lk'), apiCall: 'v3.ping' }
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Ends each of these commits as soon as it has begun. */
async function endCommits(store: HeldStore, from: number, to: number): Promise<void> {
  for (let commit = from; commit <= to; commit++) {
    while (store.commits.length <= commit) await turn()
    store.commits[commit]?.end()
  }
}

function meterOver(store: UsageStore, options: Partial<MeterOptions> = {}) {
  const told = { counted: () => {}, inDoubt: () => {} }
  return new Meter({
    store,
    clock: createSystemClock(),
    prefix: 'lk',
    timeoutMs: 10_000,
    ...told,
    ...options,
  })
}

describe('the meter', () => {
  it('commits all calls of one turn together, and groups those with the same key and API call', async () => {
    const store = new HeldStore()
    const meter = meterOver(store)
    const decisions = Promise.all([meter.admit([call]), meter.admit([call, call])])
    await turn()
    expect(store.commits.map(({ groups }) => groups.map(({ calls }) => calls))).toEqual([[3]])
    store.commits[0]?.end()
    expect(
      (await decisions).flat().map((decision) => 'apiKeyCalls' in decision && decision.apiKeyCalls),
    ).toEqual([1, 2, 3])
  })

  it('fills the next batch while a commit is under way, and commits it alongside only if that commit is slow', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    let now = 0
    const meter = meterOver(store, { clock, maxCommits: 2, elapsed: () => now })
    const decisions: Promise<unknown>[] = []
    const admit = async (count: number) => {
      for (let i = 0; i < count; i++) decisions.push(meter.admit([call]))
      await turn()
    }
    const committed = () => store.commits.map(({ groups }) => groups[0]?.calls)
    await admit(1)
    await admit(2)
    await admit(2)
    expect(committed()).toEqual([1])
    // No further call arrives, so the timer has to dispatch the batch.
    now += 10
    clock.timers.find(({ waitMs }) => waitMs === 10)?.callback()
    await turn()
    expect(committed()).toEqual([1, 4])
    await admit(3)
    now += 1_000
    await admit(3)
    expect(committed()).toEqual([1, 4])
    store.commits[0]?.end()
    await decisions[0]
    await turn()
    expect(committed()).toEqual([1, 4, 6])
    for (const { end } of store.commits) end()
    await Promise.all(decisions)
  })

  it('commits a large batch alongside another', async () => {
    const store = new HeldStore()
    const meter = meterOver(store, { maxCommits: 2, elapsed: () => 0 })
    const decisions = [meter.admit([call])]
    await turn()
    for (let i = 0; i < 127; i++) decisions.push(meter.admit([call]))
    await turn()
    expect(store.commits).toHaveLength(1)
    decisions.push(meter.admit([call]))
    await turn()
    expect(store.commits.map(({ groups }) => groups[0]?.calls)).toEqual([1, 128])
    for (const { end } of store.commits) end()
    await Promise.all(decisions)
  })

  it('never answers a call before its commit', async () => {
    const store = new HeldStore()
    let answered = false
    const decision = meterOver(store)
      .admit([call])
      .then(() => (answered = true))
    for (let i = 0; i < 10; i++) await turn()
    expect(answered).toBe(false)
    store.commits[0]?.end()
    await decision
  })

  it('answers malformed secrets without asking the database', async () => {
    const store = new HeldStore()
    expect(await meterOver(store).admit([{ secret: 'nonsense', apiCall: 'v3.ping' }])).toEqual([
      { code: 'KEY_INVALID' },
    ])
    expect(store.commits).toHaveLength(0)
  })

  it('answers UNAVAILABLE when a commit fails, never sends it again, and goes on', async () => {
    const store = new HeldStore()
    let inDoubt = 0
    const meter = meterOver(store, { inDoubt: () => inDoubt++ })
    const lost = meter.admit([call])
    await turn()
    store.commits[0]?.end(new Error('connection lost'))
    await expect(lost).rejects.toBeInstanceOf(UnavailableError)
    expect(inDoubt).toBe(1)
    const next = meter.admit([call])
    await turn()
    expect(store.commits).toHaveLength(2)
    store.commits[1]?.end()
    expect(await next).toMatchObject([{ code: 'ADMITTED' }])
  })

  it('refuses at once when too many calls are waiting, and admits again once they are answered', async () => {
    const store = new HeldStore()
    const meter = meterOver(store, { maxWaitingCalls: 3 })
    const waiting = meter.admit([call, call, call])
    await expect(meter.admit([call])).rejects.toBeInstanceOf(OverloadedError)
    await turn()
    store.commits[0]?.end()
    await waiting
    const next = meter.admit([call])
    await turn()
    store.commits[1]?.end()
    expect(await next).toMatchObject([{ code: 'ADMITTED' }])
  })

  it('refuses calls whose estimated wait is too long', async () => {
    const store = new HeldStore()
    let now = 0
    const meter = meterOver(store, { maxCommits: 1, maxBatchCalls: 10, maxWaitMs: 100, elapsed: () => now })
    const calls = (count: number) => Array.from({ length: count }, () => call)
    /** Commits ten calls in so many milliseconds. */
    const commitIn = async (tookMs: number) => {
      const decisions = meter.admit(calls(10))
      await turn()
      now += tookMs
      store.commits.at(-1)?.end()
      await decisions
    }
    for (let i = 0; i < 50; i++) await commitIn(50)
    // At 5 ms per call, 20 waiting calls mean 100 ms.
    const waiting = [meter.admit(calls(10)), meter.admit(calls(11))]
    expect(meter.isFull).toBe(true)
    await expect(meter.admit([call])).rejects.toBeInstanceOf(OverloadedError)
    await endCommits(store, 50, 51)
    await Promise.all(waiting)
    for (let i = 0; i < 50; i++) await commitIn(5)
    const more = [meter.admit(calls(10)), meter.admit(calls(11)), meter.admit(calls(10))]
    expect(meter.isFull).toBe(false)
    await endCommits(store, 102, 104)
    await Promise.all(more)
  })

  it('estimates the wait from all the time that calls take, not just from their commits', async () => {
    const store = new HeldStore()
    let now = 0
    const meter = meterOver(store, { maxCommits: 1, maxBatchCalls: 10, maxWaitMs: 100, elapsed: () => now })
    const calls = (count: number) => Array.from({ length: count }, () => call)
    for (let batch = 0; batch < 50; batch += 2) {
      const waiting = [meter.admit(calls(10)), meter.admit(calls(10))]
      for (const commit of [batch, batch + 1]) {
        // The server is busy with other work before it sends the batch, which then commits at once.
        now += 45
        while (store.commits.length <= commit) await turn()
        now += 5
        store.commits[commit]?.end()
        await waiting[commit - batch]
      }
    }
    const more = [meter.admit(calls(10)), meter.admit(calls(11))]
    expect(meter.isFull).toBe(true)
    await endCommits(store, 50, 51)
    await Promise.all(more)
  })

  it('ignores failed commits in its estimate', async () => {
    const store = new HeldStore()
    let now = 0
    const meter = meterOver(store, { maxCommits: 1, maxBatchCalls: 10, maxWaitMs: 100, elapsed: () => now })
    const calls = (count: number) => Array.from({ length: count }, () => call)
    const failing = meter.admit(calls(10))
    const behind = meter.admit(calls(10))
    await turn()
    now += 60_000
    store.commits[0]?.end(new Error('The database is gone.'))
    await expect(failing).rejects.toBeInstanceOf(UnavailableError)
    await endCommits(store, 1, 1)
    await behind
    const more = [meter.admit(calls(10)), meter.admit(calls(10))]
    expect(meter.isFull).toBe(false)
    await endCommits(store, 2, 3)
    await Promise.all(more)
  })

  it('stays full until half of the calls that may wait are answered', async () => {
    const store = new HeldStore()
    const meter = meterOver(store, { maxCommits: 1, maxBatchCalls: 1, maxWaitingCalls: 4 })
    const waiting = [meter.admit([call]), meter.admit([call]), meter.admit([call]), meter.admit([call])]
    expect(meter.isFull).toBe(true)
    await endCommits(store, 0, 0)
    await waiting[0]
    expect(meter.isFull).toBe(true)
    await expect(meter.admit([call])).rejects.toBeInstanceOf(OverloadedError)
    await endCommits(store, 1, 1)
    await waiting[1]
    expect(meter.isFull).toBe(false)
    await endCommits(store, 2, 3)
    await Promise.all(waiting)
  })

  it('lets as many calls wait as can be committed at once, whatever the estimate', async () => {
    const store = new HeldStore()
    let now = 0
    const meter = meterOver(store, { maxCommits: 2, maxBatchCalls: 2, maxWaitMs: 10, elapsed: () => now })
    const slow = meter.admit([call, call])
    await turn()
    now += 60_000
    store.commits[0]?.end()
    await slow
    const waiting = [meter.admit([call, call]), meter.admit([call])]
    expect(meter.isFull).toBe(false)
    await endCommits(store, 1, 2)
    await Promise.all(waiting)
  })

  it('abandons a commit that times out, and commits the next batch', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    let inDoubt = 0
    const meter = meterOver(store, { clock, maxCommits: 1, timeoutMs: 700, inDoubt: () => inDoubt++ })
    const hanging = meter.admit([call])
    await turn()
    const waiting = meter.admit([call, call])
    clock.fire(0)
    await expect(hanging).rejects.toThrow(/may have been/)
    expect([inDoubt, clock.timers.map(({ waitMs }) => waitMs)]).toEqual([1, [700, 700]])
    await turn()
    expect(store.commits).toHaveLength(2)
    store.commits[1]?.end()
    expect((await waiting).map(({ code }) => code)).toEqual(['ADMITTED', 'ADMITTED'])
    clock.fire(1)
    expect(inDoubt).toBe(1)
  })

  it('drops a batch that times out behind a hanging commit, and reports that it was not counted', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    let inDoubt = 0
    const meter = meterOver(store, { clock, maxCommits: 1, inDoubt: () => inDoubt++ })
    const hanging = meter.admit([call])
    await turn()
    const waiting = meter.admit([call])
    clock.fire(1)
    await expect(waiting).rejects.toThrow(/was not counted/)
    await expect(waiting).rejects.toBeInstanceOf(UnavailableError)
    store.commits[0]?.end()
    expect(await hanging).toMatchObject([{ code: 'ADMITTED' }])
    await turn()
    expect([store.commits.length, inDoubt]).toEqual([1, 0])
  })

  it('answers OVERLOADED if a batch times out while the database answers others', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    const meter = meterOver(store, { clock, maxCommits: 1 })
    const answered = meter.admit([call])
    await turn()
    const next = meter.admit([call])
    store.commits[0]?.end()
    await answered
    await turn()
    const waiting = meter.admit([call])
    clock.fire(2)
    await expect(waiting).rejects.toBeInstanceOf(OverloadedError)
    store.commits[1]?.end()
    await next
    await turn()
    expect(store.commits).toHaveLength(2)
  })

  it('starts the time limit with the first well-formed call', async () => {
    const store = new HeldStore()
    const clock = new HeldClock()
    const meter = meterOver(store, { clock })
    await meter.admit([{ secret: 'nonsense', apiCall: 'v3.ping' }])
    expect(clock.timers).toHaveLength(0)
    const asked = meter.admit([call])
    expect(clock.timers).toHaveLength(1)
    await turn()
    store.commits[0]?.end()
    await asked
  })

  it('measures a batch from its first well-formed call, not from a malformed secret long before', async () => {
    const store = new HeldStore()
    let now = 0
    const meter = meterOver(store, { maxCommits: 1, maxBatchCalls: 10, maxWaitMs: 100, elapsed: () => now })
    const calls = (count: number) => Array.from({ length: count }, () => call)
    await meter.admit([{ secret: 'nonsense', apiCall: 'v3.ping' }])
    now += 600_000
    const first = meter.admit(calls(10))
    await endCommits(store, 0, 0)
    await first
    const waiting = [meter.admit(calls(10)), meter.admit(calls(10))]
    expect(meter.isFull).toBe(false)
    await endCommits(store, 1, 2)
    await Promise.all(waiting)
  })

  it('refuses calls once it stops, and stops when every accepted call is answered', async () => {
    const store = new HeldStore()
    const meter = meterOver(store)
    const waiting = meter.admit([call])
    const stopped = meter.stop()
    await expect(meter.admit([call])).rejects.toBeInstanceOf(UnavailableError)
    await turn()
    store.commits[0]?.end()
    expect(await waiting).toMatchObject([{ code: 'ADMITTED' }])
    await stopped
    await meter.stop()
  })
})
