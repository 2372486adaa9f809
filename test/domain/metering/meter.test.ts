import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { Meter, type MeterOptions } from '../../../src/domain/metering/meter.ts'
import type { CallGroup, Charge, UsageStore } from '../../../src/domain/metering/usage-store.ts'
import { generateSecret } from '../../../src/domain/secret.ts'
import { OverloadedError, UnavailableError } from '../../../src/errors.ts'

/** A store whose commits end when the test says so, and which admits everything. */
class HeldStore implements UsageStore {
  readonly commits: { groups: readonly CallGroup[]; end: (error?: Error) => void }[] = []
  #calls = 0

  charge(_month: string, _at: Date, groups: readonly CallGroup[]): Promise<Charge> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => (error ? reject(error) : resolve(this.#chargeOf(groups)))
      this.commits.push({ groups, end })
    })
  }

  #chargeOf(groups: readonly CallGroup[]): Charge {
    this.#calls += groups.reduce((sum, { calls }) => sum + calls, 0)
    const account = { externalId: 'x', calls: this.#calls, quota: null, charged: true }
    return {
      verdicts: groups.map(() => ({ apiKeyId: 'key', accountId: 'account', access: 'allowed' })),
      accounts: new Map([['account', account]]),
      apiKeyCalls: new Map([['key', this.#calls]]),
    }
  }
}

const call = { secret: generateSecret('lk'), apiCall: 'v3.ping' }
const turn = () => new Promise((resolve) => setImmediate(resolve))

function meterOver(store: UsageStore, options: Partial<MeterOptions> = {}) {
  return new Meter({ store, clock: systemClock, counted: () => {}, uncertain: () => {}, ...options })
}

describe('the meter', () => {
  it('puts what arrives in one turn into one commit, the same key and API call as one group', async () => {
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

  it('lets the next batch fill while as many commits as allowed are under way', async () => {
    const store = new HeldStore()
    const meter = meterOver(store, { maxCommits: 2 })
    const decisions = []
    for (let i = 0; i < 6; i++) {
      decisions.push(meter.admit([call]))
      await turn()
    }
    expect(store.commits.map(({ groups }) => groups[0]?.calls)).toEqual([1, 1])
    store.commits[0]?.end()
    await decisions[0]
    await turn()
    expect(store.commits.map(({ groups }) => groups[0]?.calls)).toEqual([1, 1, 4])
    for (const { end } of store.commits) end()
    await Promise.all(decisions)
  })

  it('never answers before the commit', async () => {
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

  it('answers malformed secrets without the database', async () => {
    const store = new HeldStore()
    expect(await meterOver(store).admit([{ secret: 'nonsense', apiCall: 'v3.ping' }])).toEqual([
      { code: 'KEY_INVALID' },
    ])
    expect(store.commits).toHaveLength(0)
  })

  it('answers UNAVAILABLE when a commit fails, sends nothing again, and goes on', async () => {
    const store = new HeldStore()
    let uncertain = 0
    const meter = meterOver(store, { uncertain: () => uncertain++ })
    const lost = meter.admit([call])
    await turn()
    store.commits[0]?.end(new Error('connection lost'))
    await expect(lost).rejects.toBeInstanceOf(UnavailableError)
    expect(uncertain).toBe(1)
    const next = meter.admit([call])
    await turn()
    expect(store.commits).toHaveLength(2)
    store.commits[1]?.end()
    expect(await next).toMatchObject([{ code: 'ADMITTED' }])
  })

  it('refuses at once what would make more calls wait than allowed, and admits again when they are answered', async () => {
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

  it('stops when every call that it took is answered, and takes no more', async () => {
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
