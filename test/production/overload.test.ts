import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { slackMs } from './support/bounds.ts'
import { type Observations, observeDuring, percentile } from './support/bystander.ts'
import {
  type HttpLoadReport,
  LoadedServer,
  type LoadReport,
  type MeteredAccount,
} from './support/overload-server.ts'

/** MAX_WAIT_MS by default: how long a call may wait to be read, and then to be metered. */
const maxWaitMs = 250
/** The promise, and what other tests on the machine may add to it. */
const answeredWithinMs = 2 * maxWaitMs + slackMs
/** How many times its capacity the server is sent. */
const factor = 3
/** The share of its capacity that a server still admits while it refuses the rest. */
const leastShare = 0.3
/** The same for connections that each wait for their answer, of which the server can serve nearly all. */
const leastShareOverHttp = 0.5

/** A machine that runs tests may stall for longer than a gateway would wait, which is not what is tested here. */
const environment = { METER_TIMEOUT_MS: '10000' }

/** Other programs on the machine make some rounds slow; a queue without a bound makes all of them slow. */
const best = (numbers: number[]) => Math.min(...numbers)
const mean = (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length

/** What a server admits under overload as a share of what it admits without, both per second of its CPU time. */
const shareOf = ({ rounds }: LoadReport | HttpLoadReport) =>
  mean(rounds.map(({ before, during }) => during.admittedPerCpuSecond / before.admittedPerCpuSecond))

describe.each([
  { sockets: 8, over: '8 WebSockets' },
  { sockets: 1, over: 'one WebSocket' },
])('a server that is sent three times as many calls as it can do, over $over,', ({ sockets }) => {
  let server: LoadedServer
  let accounts: MeteredAccount[]
  let report: LoadReport
  let seen: Observations

  beforeAll(async () => {
    server = await LoadedServer.start(environment)
    accounts = await server.createAccounts(20)
    const secrets = accounts.map(({ secret }) => secret)
    const order = { sockets, rounds: 2, callers: 256, calmSeconds: 1.5, overloadSeconds: 5, factor }
    const load = server.load({ secrets, ...order })
    ;({ report, seen } = await observeDuring(server, secrets[0] as string, load))
  }, 90_000)
  afterAll(async () => {
    await server.stop()
  })

  it('answers every call once, with ADMITTED or OVERLOADED, and closes no connection', () => {
    expect(report).toMatchObject({ rounds: { length: 2 }, unanswered: 0, repeated: 0, closed: 0 })
    for (const { during } of report.rounds) {
      const { ADMITTED = 0, OVERLOADED = 0, ...others } = during.codes
      expect(others).toEqual({})
      expect(ADMITTED + OVERLOADED).toBe(during.sent)
      expect(OVERLOADED).toBeGreaterThan(during.sent / factor)
    }
  })

  it(`still admits at least ${leastShare * 100}% of its capacity: refusing is cheap`, () => {
    expect(shareOf(report)).toBeGreaterThan(leastShare)
  })

  it('answers in time, whether it admits or refuses: nothing queues up, read or unread', () => {
    const of = (latency: 'admittedP99Ms' | 'overloadedP99Ms') =>
      best(report.rounds.map(({ during }) => during[latency]))
    expect(of('admittedP99Ms')).toBeLessThan(answeredWithinMs)
    expect(of('overloadedP99Ms')).toBeLessThan(answeredWithinMs)
  })

  it('counts every call that it admitted, and no other', async () => {
    const phases = report.rounds.flatMap(({ before, during, afterwards }) => [
      before.codes,
      during.codes,
      ...afterwards,
    ])
    const admitted = [report.warmUp.codes, seen.codes, ...phases].map(({ ADMITTED = 0 }) => ADMITTED)
    expect(await server.storedCalls(accounts)).toBe(admitted.reduce((sum, calls) => sum + calls, 0))
  })

  it('answers what is left in time when the overload ends, and then admits at once', () => {
    expect(best(report.rounds.map(({ during }) => during.drainedMs))).toBeLessThan(answeredWithinMs)
    // The first message that is read after a backlog may still be refused.
    for (const { afterwards } of report.rounds) expect(afterwards[1]).toEqual({ ADMITTED: sockets })
  })

  it('answers other clients in time', () => {
    const { codes, callsMs, healthMs } = seen
    expect(Object.keys(codes).filter((code) => code !== 'ADMITTED' && code !== 'OVERLOADED')).toEqual([])
    for (const latencies of [callsMs, healthMs]) {
      expect(latencies.length).toBeGreaterThan(20)
      expect(percentile(latencies, 90)).toBeLessThan(answeredWithinMs)
    }
  })

  it('takes no more memory the longer it lasts, and releases what it took', async () => {
    const half = Math.ceil(seen.residentMb.length / 2)
    const [first, second] = [seen.residentMb.slice(0, half), seen.residentMb.slice(half)]
    expect(Math.max(...second) - Math.max(...first)).toBeLessThan(250)
    expect((await server.holdings()).heapUsed / 1e6).toBeLessThan(120)
  })
})

describe('a server that 4,000 connections ask over HTTP, each again as soon as it is answered,', () => {
  const manyCallers = 4_000
  let server: LoadedServer
  let accounts: MeteredAccount[]
  let report: HttpLoadReport
  let seen: Observations

  beforeAll(async () => {
    server = await LoadedServer.start(environment)
    accounts = await server.createAccounts(20)
    const secrets = accounts.map(({ secret }) => secret)
    const order = { rounds: 2, fewCallers: 64, calmSeconds: 1.5, manyCallers, overloadSeconds: 4 }
    const load = server.loadOverHttp({ secrets, ...order })
    ;({ report, seen } = await observeDuring(server, secrets[0] as string, load))
  }, 90_000)
  afterAll(async () => {
    await server.stop()
  })

  it('answers all of them with ADMITTED or OVERLOADED, and closes no connection', () => {
    expect(report).toMatchObject({ rounds: { length: 2 }, closed: 0 })
    for (const { codes } of [...report.rounds.map(({ during }) => during), seen])
      expect(Object.keys(codes).filter((code) => code !== 'ADMITTED' && code !== 'OVERLOADED')).toEqual([])
  })

  it('serves them in turn, and refuses few: each waits for its answer, so that no more can come', () => {
    const total = (code: string) =>
      report.rounds.reduce((sum, { during }) => sum + (during.codes[code] ?? 0), 0)
    expect(total('OVERLOADED')).toBeLessThan(total('ADMITTED') / 4)
  })

  it('answers in time, although all of them ask again at once', () => {
    const lateness = report.rounds.map(({ during: { p99Ms, answeredPerSecond } }) => {
      // What everyone waits for where all are answered in turn; on a slow machine that is long.
      const inTurnMs = (manyCallers / answeredPerSecond) * 1_000
      return p99Ms / Math.max(answeredWithinMs, 1.5 * inTurnMs)
    })
    expect(best(lateness)).toBeLessThan(1)
  })

  it(`admits at least ${leastShareOverHttp * 100}% of what it admits when 64 connections ask`, () => {
    expect(shareOf(report)).toBeGreaterThan(leastShareOverHttp)
  })

  it('counts every call that it admitted, and no other', async () => {
    const phases = report.rounds.flatMap(({ before, during }) => [before.codes, during.codes])
    const admitted = [report.warmUp.codes, seen.codes, ...phases].map(({ ADMITTED = 0 }) => ADMITTED)
    expect(await server.storedCalls(accounts)).toBe(admitted.reduce((sum, calls) => sum + calls, 0))
  })
})
