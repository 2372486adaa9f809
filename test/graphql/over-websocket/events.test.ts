import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SendGate } from '../../../src/graphql/over-websocket/send-gate.ts'
import { fixedLimits } from '../../../src/limits.ts'
import { startApp, type TestApp } from '../../support/app.ts'
import { TestClock } from '../../support/clock.ts'
import { type Customer, createCustomer } from '../../support/customer.ts'
import { closeOf, liveUsageDocument, openRawConnection, type RawConnection } from '../../support/websocket.ts'

/** A clock that calls back those who wait for the same instant in the opposite order. */
class OppositeClock extends TestClock {
  readonly #waiting = new Map<number, (() => void)[]>()

  override at(instant: Date, callback: () => void): () => void {
    const atMs = instant.getTime()
    const callbacks = this.#waiting.get(atMs) ?? []
    this.#waiting.set(atMs, callbacks)
    if (callbacks.length === 0)
      super.at(instant, async () => {
        this.#waiting.delete(atMs)
        for (const each of callbacks.toReversed()) {
          each()
          // Timers that are due together are apart by whatever the first one sets off.
          await new Promise(setImmediate)
        }
      })
    callbacks.push(callback)
    return () => void callbacks.splice(callbacks.indexOf(callback), 1)
  }
}

describe('a WebSocket with subscriptions', () => {
  const clock = new OppositeClock()
  let app: TestApp
  let customer: Customer

  beforeAll(async () => {
    app = await startApp({ clock })
    customer = await createCustomer(app, {})
  })
  afterAll(() => app.stop())

  it('is closed with 4403 when its token expires, even if a subscription notices first', async () => {
    const token = await app.token({ account: customer.externalId, scopes: ['keys:read'], lifetime: '1h' })
    const connection = await (await openRawConnection(app)).init(token)
    connection.send({ type: 'subscribe', id: 'live', payload: { query: liveUsageDocument } })
    expect(await connection.next()).toMatchObject({ type: 'next' })
    const closed = closeOf(connection.socket)
    clock.set(new Date(Date.now() + 3_600_000))
    expect((await closed).code).toBe(4403)
    expect(await connection.next()).toBeUndefined()
    clock.set(new Date())
  })

  it('is sent the events of all of them, and those that come after one is completed', async () => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    const ids = Array.from({ length: 20 }, (_, i) => String(i))
    const receiveFrom = async (expected: readonly string[]) => {
      const missing = new Set(expected)
      while (missing.size > 0) {
        const message = await connection.next()
        if (message?.type === 'next') missing.delete(message.id as string)
      }
    }
    for (const id of ids) connection.send({ type: 'subscribe', id, payload: { query: liveUsageDocument } })
    await receiveFrom(ids)
    const left = ids.filter((id) => Number(id) % 2 === 1)
    for (const id of ids) if (!left.includes(id)) connection.send({ type: 'complete', id })
    await customer.addApiKey()
    await receiveFrom(left)
    connection.socket.close()
    await once(connection.socket, 'close')
  })

  it('is sent an event that needs the database when its account may execute an operation, and the others at once', async () => {
    const connections = await Promise.all(
      ['calls', 'apiKey { note }'].map(async (field) => {
        const connection = await (await openRawConnection(app)).init(customer.token)
        const query = `subscription { liveUsage { apiKeys { ${field} } } }`
        connection.send({ type: 'subscribe', id: field, payload: { query } })
        expect(await connection.next()).toMatchObject({ type: 'next' })
        return connection
      }),
    )
    const [light, heavy] = connections as [RawConnection, RawConnection]
    let free = () => {}
    const held = new Promise<void>((resolve) => {
      free = resolve
    })
    const owner = `account ${customer.externalId}`
    const { fairShare, liveUsage, accounts } = app.services
    for (let slot = 0; slot < fixedLimits.operationsAtOncePerOwner; slot++)
      void fairShare.operation(owner, () => held)
    liveUsage.accountChanged(await accounts.findOrCreate(customer.externalId))
    let isLate = true
    const late = heavy.next().finally(() => {
      isLate = false
    })
    expect(await light.next()).toMatchObject({ type: 'next' })
    // What comes after the event that is held back.
    light.send({ type: 'ping' })
    heavy.socket.ping()
    await Promise.all([light.next(), once(heavy.socket, 'pong')])
    expect(isLate).toBe(true)
    free()
    expect(await late).toMatchObject({ type: 'next' })
    for (const { socket } of connections) socket.terminate()
  })

  it('refuses a selection that costs too much for an event before it sends any', async () => {
    const heavy = 'subscription { liveUsage { apiKeys { apiKey { usageHistory { month calls } } } } }'
    const connection = await (await openRawConnection(app)).init(customer.token)
    connection.send({ type: 'subscribe', id: 'heavy', payload: { query: heavy } })
    expect(await connection.next()).toMatchObject({
      type: 'next',
      payload: { errors: [{ extensions: { code: 'QUERY_TOO_COMPLEX' } }] },
    })
    expect(await connection.next()).toMatchObject({ type: 'complete', id: 'heavy' })
    connection.socket.close()
  })
})

describe('the gate of a WebSocket', () => {
  /** A gate, and what has passed it. */
  function createGate() {
    const passed: string[] = []
    let mayWrite = true
    const gate = new SendGate(() => mayWrite)
    return {
      ...{ gate, passed },
      enter: (name: string) => gate.enter(() => passed.push(name)),
      setMayWrite: (may: boolean) => {
        mayWrite = may
        gate.proceed()
      },
    }
  }

  it('lets one event pass at a time, in order', () => {
    const { passed, enter } = createGate()
    const leaves = ['a', 'b', 'c'].map(enter)
    expect(passed).toEqual(['a'])
    leaves[0]?.()
    expect(passed).toEqual(['a', 'b'])
    leaves[1]?.()
    expect(passed).toEqual(['a', 'b', 'c'])
  })

  it('lets none pass while the WebSocket may not be written to', () => {
    const { passed, enter, setMayWrite } = createGate()
    setMayWrite(false)
    for (const name of ['a', 'b']) enter(name)
    expect(passed).toEqual([])
    setMayWrite(true)
    expect(passed).toEqual(['a'])
  })

  it('lets go of one that leaves before its turn, and the next one pass', () => {
    const { passed, enter, setMayWrite } = createGate()
    setMayWrite(false)
    const leave = enter('a')
    enter('b')
    leave()
    expect(passed).toEqual(['a'])
    setMayWrite(true)
    expect(passed).toEqual(['a', 'b'])
  })

  it('may be left twice', () => {
    const { passed, enter } = createGate()
    const leave = enter('a')
    leave()
    enter('b')
    leave()
    enter('c')
    expect(passed).toEqual(['a', 'b'])
  })
})
