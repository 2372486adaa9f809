import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type HttpLoadReport,
  LoadedServer,
  type LoadReport,
  type MeteredAccount,
} from './support/overload-server.ts'

const seconds = 8
const sockets = 8

describe('a server that is offered three times what it can do', () => {
  let server: LoadedServer
  let accounts: MeteredAccount[]
  let usual: LoadReport
  let report: LoadReport
  /** Megabytes, and how long `/health` took to answer (or Infinity), again and again while the load went on. */
  const residentMb: number[] = []
  const healthMs: number[] = []

  beforeAll(async () => {
    server = await LoadedServer.start()
    accounts = await server.createAccounts(20)
    const secrets = accounts.map(({ secret }) => secret)
    usual = await server.load({ secrets, sockets, callers: 256, seconds: 4 })
    let loading = true
    const perSecond = Math.round(usual.admittedPerSecond * 3)
    const offered = server.load({ secrets, sockets, perSecond, seconds }).finally(() => {
      loading = false
    })
    while (loading) {
      residentMb.push(server.residentMb())
      const askedAt = performance.now()
      const { ok } = await fetch(`${server.url}/health`).catch(() => ({ ok: false }))
      healthMs.push(ok ? performance.now() - askedAt : Number.POSITIVE_INFINITY)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    report = await offered
  }, 60_000)
  afterAll(async () => {
    await server.stop()
  })

  it('answers every call, refuses what is too much, and does about as much as before', () => {
    expect(report).toMatchObject({ unanswered: 0, closed: 0 })
    expect(Object.keys(report.codes).toSorted()).toEqual(['ADMITTED', 'OVERLOADED'])
    const { ADMITTED = 0, OVERLOADED = 0 } = report.codes
    expect(ADMITTED + OVERLOADED).toBe(report.sent)
    expect(OVERLOADED).toBeGreaterThan(report.sent / 10)
    expect(report.admittedPerSecond).toBeGreaterThan(usual.admittedPerSecond / 5)
  })

  it('counts what it admitted, and nothing that it refused', async () => {
    const admitted = (usual.codes.ADMITTED ?? 0) + (report.codes.ADMITTED ?? 0)
    expect(await server.storedCalls(accounts)).toBe(admitted)
  })

  it('lets no call wait for long, admitted or refused: a queue without a bound would make them wait twice as long as it grew', () => {
    expect(report.admittedP99Ms).toBeLessThan(2_500)
    expect(report.overloadedP99Ms).toBeLessThan(2_500)
  })

  it('answers /health all the while', () => {
    expect(healthMs.length).toBeGreaterThan(3)
    expect(Math.max(...healthMs)).toBeLessThan(5_000)
  })

  it('takes no more memory the longer it lasts, and gives back what it took', async () => {
    const half = Math.ceil(residentMb.length / 2)
    const [first, second] = [residentMb.slice(0, half), residentMb.slice(half)]
    expect(Math.max(...second) - Math.max(...first)).toBeLessThan(250)
    expect((await server.holdings()).heapUsed / 1e6).toBeLessThan(120)
  })

  it('meters as before once it is over', async () => {
    const secrets = accounts.map(({ secret }) => secret)
    const after = await server.load({ secrets, sockets, callers: 64, seconds: 1 })
    expect(Object.keys(after.codes)).toEqual(['ADMITTED'])
  })
})

describe('a server that 4,000 connections ask over HTTP, each again as soon as it is answered', () => {
  let server: LoadedServer
  let accounts: MeteredAccount[]
  let usual: HttpLoadReport
  let report: HttpLoadReport

  beforeAll(async () => {
    server = await LoadedServer.start()
    accounts = await server.createAccounts(20)
    const secrets = accounts.map(({ secret }) => secret)
    usual = await server.loadOverHttp({ secrets, callers: 64, seconds: 3 })
    report = await server.loadOverHttp({ secrets, callers: 4_000, seconds: 5 })
  }, 60_000)
  afterAll(async () => {
    await server.stop()
  })

  it('answers all of them, with a decision or OVERLOADED, and does about as much as before', () => {
    expect(report.closed).toBe(0)
    for (const code of Object.keys(report.codes)) expect(['ADMITTED', 'OVERLOADED']).toContain(code)
    expect(report.admittedPerSecond).toBeGreaterThan(usual.admittedPerSecond / 3)
  })

  it('answers none late: had they no order, those that are being counted would wait behind all others', () => {
    expect(report.p99Ms).toBeLessThan(2_500)
  })

  it('counts what it admitted, and nothing that it refused', async () => {
    const admitted = (usual.codes.ADMITTED ?? 0) + (report.codes.ADMITTED ?? 0)
    expect(await server.storedCalls(accounts)).toBe(admitted)
  })
})
