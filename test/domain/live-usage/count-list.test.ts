import { describe, expect, it } from 'vitest'
import { CountList, nothingRead, type Place } from '../../../src/domain/live-usage/count-list.ts'
import type { UsageSnapshot } from '../../../src/domain/live-usage/usage-pages.ts'
import { fixedLimits } from '../../../src/limits.ts'

const month = '2026-11'
const { apiKeysPerEvent } = fixedLimits
const idOf = (i: number) => `key-${String(i).padStart(6, '0')}`

/** What was read of keys with these numbers, each called `calls` times. */
function usageOf(numbers: readonly number[], calls = 0): UsageSnapshot {
  return {
    account: { calls: calls * numbers.length, quota: null },
    apiKeys: numbers.map((i) => ({ apiKeyId: idOf(i), calls, lastCallAt: null, limit: null })),
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const many = 2 * apiKeysPerEvent + 10

/** A subscriber that merges events as the schema tells clients to. */
class Subscriber {
  readonly counts = new Map<string, number>()
  readonly events: { snapshot: boolean; complete: boolean; keys: number }[] = []
  place: Place = nothingRead
  readonly #list: CountList
  readonly #only: readonly string[] | undefined

  constructor(list: CountList, only?: readonly string[]) {
    this.#list = list
    this.#only = only
  }

  /** Takes the next event. Returns whether there was one. */
  read(): boolean {
    const next = this.#list.since(this.place, this.#only)
    if (!next) return false
    this.place = next.place
    const { snapshot, complete, apiKeys } = next.event
    this.events.push({ snapshot, complete, keys: apiKeys.length })
    if (snapshot) this.counts.clear()
    for (const { apiKeyId, calls } of apiKeys) this.counts.set(apiKeyId, calls)
    return true
  }

  readAll(): this {
    while (this.read());
    return this
  }
}

function listOf(count: number): CountList {
  const list = new CountList(month)
  list.takeOver(usageOf(upTo(count)), month, true)
  return list
}

const counted = (number: number, calls: number): UsageSnapshot => ({
  account: { calls, quota: null },
  apiKeys: [{ apiKeyId: idOf(number), calls, lastCallAt: null, limit: null }],
})

describe('the counts of an account with more keys than an event may have', () => {
  it('come as a snapshot in several events, and only the last one is complete', () => {
    const { events, counts } = new Subscriber(listOf(many)).readAll()
    expect(events).toEqual([
      { snapshot: true, complete: false, keys: apiKeysPerEvent },
      { snapshot: false, complete: false, keys: apiKeysPerEvent },
      { snapshot: false, complete: true, keys: 10 },
    ])
    expect(counts.size).toBe(many)
  })

  it('come in one event if they are as many as it may have', () => {
    const { events } = new Subscriber(listOf(apiKeysPerEvent)).readAll()
    expect(events).toEqual([{ snapshot: true, complete: true, keys: apiKeysPerEvent }])
  })

  it('come in several events as well if all of them change', () => {
    const list = listOf(many)
    const subscriber = new Subscriber(list).readAll()
    list.addCounted(usageOf(upTo(many), 1), false)
    subscriber.readAll()
    expect(subscriber.events.slice(3)).toEqual([
      { snapshot: false, complete: false, keys: apiKeysPerEvent },
      { snapshot: false, complete: false, keys: apiKeysPerEvent },
      { snapshot: false, complete: true, keys: 10 },
    ])
    expect(new Set(subscriber.counts.values())).toEqual(new Set([1]))
  })

  it('miss nothing that is counted between the events, before the place of the subscriber or behind it', () => {
    const list = listOf(many)
    const subscriber = new Subscriber(list)
    subscriber.read()
    list.addCounted(counted(0, 3), false)
    list.addCounted(counted(many - 1, 4), false)
    subscriber.readAll()
    expect([subscriber.counts.get(idOf(0)), subscriber.counts.get(idOf(many - 1))]).toEqual([3, 4])
  })

  it('come to an end although keys are added and removed after every event', () => {
    const list = listOf(many)
    const subscriber = new Subscriber(list)
    let first = 0
    do {
      subscriber.read()
      first++
      list.takeOver(usageOf(upTo(many).map((i) => i + first)), month, false)
    } while (!subscriber.events.at(-1)?.complete && first < 10)
    expect(subscriber.events.length).toBeLessThanOrEqual(4)
    subscriber.readAll()
    expect([...subscriber.counts.keys()]).toEqual(upTo(many).map((i) => idOf(i + first)))
  })

  it('begin again when the month does', () => {
    const list = listOf(many)
    list.addCounted(usageOf(upTo(many), 7), false)
    const subscriber = new Subscriber(list)
    subscriber.read()
    list.takeOver(usageOf(upTo(many)), '2026-12', false)
    subscriber.readAll()
    expect(subscriber.events.map(({ snapshot }) => snapshot)).toEqual([true, true, false, false])
    expect(new Set(subscriber.counts.values())).toEqual(new Set([0]))
  })

  it('are split for subscribers of some keys, too', () => {
    const odd = upTo(many).flatMap((i) => (i % 2 === 1 ? idOf(i) : []))
    const { events, counts } = new Subscriber(listOf(many), odd).readAll()
    expect(events.map(({ keys }) => keys)).toEqual([apiKeysPerEvent, odd.length - apiKeysPerEvent])
    expect([...counts.keys()]).toEqual(odd)
  })
})

describe('the counts of an account', () => {
  it('include those of a new key that arrive before the read that adds it', () => {
    const list = listOf(1)
    list.addCounted(counted(1, 5), true)
    list.takeOver(usageOf([0, 1], 2), month, false)
    const { counts } = new Subscriber(list).readAll()
    expect([...counts.values()]).toEqual([2, 5])
  })

  it('do not keep counts of keys that no read adds', () => {
    const list = listOf(1)
    list.addCounted(counted(1, 5), true)
    list.dropUnlisted()
    list.takeOver(usageOf([0, 1], 2), month, false)
    expect([...new Subscriber(list).readAll().counts.values()]).toEqual([2, 2])
  })

  it('make one event for all subscribers with the same place', () => {
    const list = listOf(many)
    const [one, another] = [list.since(nothingRead, undefined), list.since(nothingRead, undefined)]
    expect(another?.event).toBe(one?.event)
    list.addCounted(counted(0, 1), false)
    expect(list.since(nothingRead, undefined)?.event.apiKeys[0]?.calls).toBe(1)
  })
})
