import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Readiness } from '../../src/http/health.ts'
import { createLogger } from '../../src/log.ts'

describe('/ready', () => {
  let nowMs = 0
  let checks: { resolve(): void; reject(error: Error): void }[] = []
  let readiness: Readiness
  let ask: () => Promise<number>

  beforeEach(async () => {
    nowMs = 0
    checks = []
    readiness = new Readiness({
      check: () => new Promise<void>((resolve, reject) => checks.push({ resolve, reject })),
      log: createLogger('silent'),
      elapsed: () => nowMs,
    })
    const server = createServer((request, response) => void readiness.serve(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    ask = async () => (await fetch(`http://127.0.0.1:${port}/ready`)).status
    return () => {
      server.closeAllConnections()
      server.close()
    }
  })
  afterEach(() => {
    for (const { resolve } of checks) resolve()
  })

  const checkBegins = (count: number) => expect.poll(() => checks.length).toBe(count)

  it('shares a running check among all requests that arrive during it', async () => {
    const answers = Promise.all(Array.from({ length: 20 }, ask))
    await checkBegins(1)
    nowMs = 60_000
    const late = ask()
    checks[0]?.resolve()
    expect(new Set(await answers)).toEqual(new Set([200]))
    expect(await late).toBe(200)
    expect(checks).toHaveLength(1)
  })

  it('checks at most once a second, whatever the result', async () => {
    for (const status of [200, 503]) {
      const before = checks.length
      const first = ask()
      await checkBegins(before + 1)
      if (status === 200) checks[before]?.resolve()
      else checks[before]?.reject(new Error('no connection'))
      expect(await first).toBe(status)
      nowMs += 999
      expect(await ask()).toBe(status)
      expect(checks).toHaveLength(before + 1)
      nowMs += 1
    }
    const again = ask()
    await checkBegins(3)
    checks[2]?.resolve()
    expect(await again).toBe(200)
  })

  it('answers 503 without a check after the server has announced that it stops', async () => {
    readiness.announceStop()
    expect(await ask()).toBe(503)
    expect(checks).toHaveLength(0)
  })
})
