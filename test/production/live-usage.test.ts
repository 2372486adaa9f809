import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { slackMs } from './support/bounds.ts'
import { type Observations, observeDuring } from './support/bystander.ts'
import { type LiveLoadReport, LoadedServer, type MeteredAccount } from './support/overload-server.ts'

/** A machine that runs tests may stall for longer than a gateway would wait, which is not what is tested here. */
const environment = { METER_TIMEOUT_MS: '10000' }
const seconds = 15
/** The promises, and what other tests on the machine may add to them. */
const meteredWithinMs = 1_000 + slackMs
const healthyWithinMs = 250 + slackMs
/** 10,000 subscriptions hold 80 to 140 MB. The rest is what V8 has not collected yet: up to 750 MB were seen. */
const mostMb = 1_000

/** As much as an event may cost. */
const heavy = `subscription { liveUsage { snapshot account { calls } apiKeys {
  apiKeyId calls lastCallAt apiKey { id note start createdAt usage { calls } lastCallAt access { mode } }
} } }`
const tooHeavy = `subscription { liveUsage { apiKeys { apiKey { usageHistory(months: 100) { calls } } } } }`
const counts = 'subscription { liveUsage { snapshot complete account { calls } apiKeys { apiKeyId calls } } }'

describe('an account with as many subscriptions as it may have, of which the key is metered,', () => {
  let server: LoadedServer
  let greedy: MeteredAccount

  beforeAll(async () => {
    server = await LoadedServer.start(environment)
    ;[greedy] = (await server.createAccounts(1)) as [MeteredAccount]
  }, 60_000)
  afterAll(async () => {
    await server.stop()
  })

  async function watched(order: object): Promise<{ report: LiveLoadReport; seen: Observations }> {
    const load = server.subscribe({
      ...{ token: greedy.token, sockets: 100, subscriptions: 100, seconds },
      ...order,
    })
    return await observeDuring(server, greedy.secret, load)
  }

  function expectNobodyWaited({ codes, callsMs, healthMs, residentMb }: Observations): void {
    expect(Object.keys(codes)).toEqual(['ADMITTED'])
    expect(Math.max(...callsMs)).toBeLessThan(meteredWithinMs)
    expect(Math.max(...healthMs)).toBeLessThan(healthyWithinMs)
    expect(Math.max(...residentMb)).toBeLessThan(mostMb)
  }

  it.each([
    ['reads heavy events', { query: heavy, reads: true }],
    ['reads counts only', { query: counts, reads: true }],
    ['reads none of its heavy events', { query: heavy, reads: false }],
    ['reads none of its counts', { query: counts, reads: false }],
  ])(
    'delays neither metering nor /health, and fills no memory: it %s',
    async (_, order) => {
      const { report, seen } = await watched(order)
      expect(report.subscribed).toBeGreaterThan(1_000)
      expectNobodyWaited(seen)
    },
    60_000,
  )

  it('is refused selections that cost too much, each once', async () => {
    const { report, seen } = await watched({ query: tooHeavy, reads: true })
    expect(report.codes).toEqual({ QUERY_TOO_COMPLEX: report.events })
    expect(report.events).toBeGreaterThan(1_000)
    expectNobodyWaited(seen)
  }, 60_000)

  it.runIf(inject('postgres'))(
    'delays nobody with 10,000 keys and a few subscribers',
    async () => {
      await server.addKeys(greedy, 10_000)
      const { report, seen } = await watched({ query: heavy, reads: true, sockets: 3, subscriptions: 1 })
      // The list takes 21 events.
      expect(report.events).toBeGreaterThanOrEqual(3)
      expectNobodyWaited(seen)
    },
    90_000,
  )
})
