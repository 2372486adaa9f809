import { expect, it } from 'vitest'
import { Turns } from '../../src/overload/turns.ts'

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Requests that proceed when it is their turn. Each notes its name in `served`. */
function requests(turns: Turns<object>) {
  const served: string[] = []
  return {
    served,
    async begin(connection: object, name: string, weight?: number): Promise<void> {
      await turns.take(connection, weight)
      served.push(name)
    },
  }
}

it('a turn of the event loop serves no more requests than it may', async () => {
  const { served, begin } = requests(new Turns<object>(2))
  const all = Promise.all(['1', '2', '3', '4', '5'].map((name) => begin({}, name)))
  await nextTurn()
  expect(served.slice(0, 2)).toEqual(['1', '2'])
  expect(served.length).toBeLessThanOrEqual(4)
  await all
  expect(served).toEqual(['1', '2', '3', '4', '5'])
})

it('a connection with many requests does not delay those of others', async () => {
  const { served, begin } = requests(new Turns<object>(2))
  const [flood, other] = [{}, {}]
  const all = Array.from({ length: 100 }, (_, i) => begin(flood, `flood ${i}`))
  all.push(begin(other, 'other'))
  await Promise.all(all)
  expect(served.indexOf('other')).toBeLessThanOrEqual(4)
  expect(served.filter((name) => name !== 'other')).toEqual(
    Array.from({ length: 100 }, (_, i) => `flood ${i}`),
  )
})

it('a request with more weight counts for several', async () => {
  const turns = new Turns<object>(10)
  expect(turns.take({}, 8)).toBeUndefined()
  expect(turns.take({}, 8)).toBeUndefined()
  const waiting = turns.take({})
  expect(waiting).toBeInstanceOf(Promise)
  await waiting
})
