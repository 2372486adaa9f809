import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { FairShare } from '../../src/overload/fair-share.ts'

/** A share whose clock only tests move, and what was done with it, in order. */
function createShare(options: Partial<ConstructorParameters<typeof FairShare>[0]> = {}) {
  const clock = { ms: 0 }
  const share = new FairShare({
    ...{ operations: 4, operationsPerOwner: 2, connections: 4, connectionsPerOwner: 2 },
    ...{ workPerTurn: 100, statementWork: 1, now: () => clock.ms },
    ...options,
  })
  const begun: string[] = []
  const endings = new Map<string, () => void>()
  /** Work that lasts until it is ended by its name. */
  const lasting = (name: string) => () => {
    begun.push(name)
    return new Promise<void>((end) => endings.set(name, end))
  }
  const end = async (name: string) => {
    endings.get(name)?.()
    await nextTurn()
  }
  return { share, clock, begun, lasting, end }
}

describe.each(['operation', 'statement'] as const)('each %s', (kind) => {
  it('waits while as many are under way as may be, of all owners or of its own', async () => {
    const { share, begun, lasting, end } = createShare()
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) void share[kind](name[0] ?? '', lasting(name))
    await nextTurn()
    expect(begun).toEqual(['a1', 'a2', 'b1', 'b2'])
    await end('b1')
    expect(begun.slice(4)).toEqual(['c1'])
    await end('a1')
    expect(begun.slice(5)).toEqual(['a3'])
  })

  it('of an owner with a long queue waits for one of each other owner', async () => {
    const { share, begun, lasting, end } = createShare({ operations: 1, connections: 1 })
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'])
      void share[kind](name[0] ?? '', lasting(name))
    for (let i = 0; i < 7; i++) await end(begun.at(-1) ?? '')
    expect(begun).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  })

  it('releases its slot when it fails, and passes the failure on', async () => {
    const { share } = createShare({ operations: 1, connections: 1 })
    const failing = share[kind]('a', () => Promise.reject(new Error('failed')))
    const next = share[kind]('a', async () => 'done')
    await expect(failing).rejects.toThrow('failed')
    expect(await next).toBe('done')
  })
})

describe('a turn of the event loop', () => {
  it('is used at once for as much as fits into it, and the rest waits for the following ones', async () => {
    const { share } = createShare()
    const done: number[] = []
    const waiting = [1, 2, 3, 4, 5].map((n) => share.turn('a', 50)?.then(() => done.push(n)))
    expect(waiting.map((each) => each === undefined)).toEqual([true, true, false, false, false])
    await nextTurn()
    expect(done).toEqual([3, 4])
    await Promise.all(waiting)
    expect(done).toEqual([3, 4, 5])
    await nextTurn()
    expect(share.turn('a', 50)).toBeUndefined()
  })

  it('is shared by the owners, however much one of them has to do', async () => {
    const { share } = createShare()
    const order: string[] = []
    const work = [...'aaaaaabbc'].map((owner) => share.turn(owner, 100)?.then(() => order.push(owner)))
    await Promise.all(work)
    expect(order.join('')).toBe('abcabaaa')
  })
})

describe('an owner that has used more than another', () => {
  /** Owner a has used a lot, and b begins an operation. */
  async function createUnequal() {
    const parts = createShare({ workPerTurn: 100_000 })
    parts.share.turn('a', 50_000)
    await nextTurn()
    void parts.share.operation('b', parts.lasting('of b'))
    return parts
  }

  it('makes way until the other one’s operation has ended', async () => {
    const { share, begun, lasting, end } = await createUnequal()
    void share.statement('a', lasting('of a'))
    const turn = share.turn('a', 1)?.then(() => begun.push('turn of a'))
    expect(turn).toBeDefined()
    expect(share.turn('b', 1)).toBeUndefined()
    await nextTurn()
    await nextTurn()
    expect(begun).toEqual(['of b'])
    await end('of b')
    await turn
    expect(begun).toEqual(['of b', 'of a', 'turn of a'])
  })

  it('waits no longer than a quarter of a second for an operation that does not end', async () => {
    const { share, clock, begun, lasting } = await createUnequal()
    const statement = share.statement('a', async () => void begun.push('of a'))
    const turn = share.turn('a', 1)
    await nextTurn()
    expect(begun).toEqual(['of b'])
    clock.ms = 251
    await Promise.all([statement, turn])
    void share.operation('b', lasting('of b again'))
    await nextTurn()
    expect(share.turn('a', 1)).toBeInstanceOf(Promise)
  })

  it('does not make way once the other one has used as much, or some seconds later', async () => {
    const { share } = await createUnequal()
    expect(share.turn('a', 1)).toBeInstanceOf(Promise)
    expect(share.turn('b', 50_000)).toBeUndefined()
    await nextTurn()
    expect(share.turn('a', 1)).toBeUndefined()
    const later = await createUnequal()
    later.clock.ms = 10_000
    void later.share.operation('b', later.lasting('of b again'))
    expect(later.share.turn('a', 1)).toBeUndefined()
  })

  it('does not make way for itself, nor does one that asks steadily for one that begins', async () => {
    const { share, lasting } = createShare({ workPerTurn: 100_000 })
    share.turn('a', 15_000)
    await nextTurn()
    for (const owner of ['a', 'b']) void share.operation(owner, lasting(owner))
    for (const owner of ['a', 'b']) expect(share.turn(owner, 1)).toBeUndefined()
  })

  it('is forgotten when it has used nothing for long, so that any number of owners takes no memory', () => {
    const { share, clock } = createShare()
    for (let i = 0; i < 10_000; i++) {
      clock.ms += 1
      share.turn(`owner ${i}`, 1)
    }
    expect(share.knownOwners).toBeLessThanOrEqual(2_000)
  })
})
