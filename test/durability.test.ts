import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { mintToken } from '../src/development.ts'
import { createStorage, databases, noteSecrets, sendOperation, type TestStorage } from './support/app.ts'
import { AccountOverview, AddApiKey, MeterApiCallOnce, SaveAccount, SavePlan } from './support/operations.ts'
import { Random } from './support/random.ts'
import { type ServerProcess, startServerProcess } from './support/server-process.ts'
import { webSocketClient } from './support/websocket.ts'

/** Nearly all of the time goes into starting the embedded database, a few seconds each time. */
const kills = inject('thorough') ? 8 : 2
const callers = 16
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)
const authSecret = 'a secret that only tests are signed with'
const auth = { secret: new TextEncoder().encode(authSecret), accountClaim: 'account' }

interface Tally {
  answered: number
  /** The ids of calls without an answer. */
  unanswered: Set<string>
}

let calls = 0

/** Meters with many callers over one WebSocket until the connection breaks. */
async function meterUntilItBreaks(
  url: string,
  gateway: string,
  secrets: string[],
  tally: Map<string, Tally>,
  onAnswer: () => void,
) {
  const client = webSocketClient({ url }, gateway)
  const call = (secret: string) =>
    new Promise<void>((resolve, reject) => {
      const of = tally.get(secret) as Tally
      const requestId = `call ${++calls}`
      of.unanswered.add(requestId)
      client.subscribe<{ meterApiCall: { code: string } }>(
        { query: String(MeterApiCallOnce), variables: { secret, requestId } },
        {
          next: ({ data }) => {
            of.unanswered.delete(requestId)
            if (data?.meterApiCall.code === 'ADMITTED') of.answered++
            onAnswer()
          },
          error: reject,
          complete: resolve,
        },
      )
    })
  const caller = async (index: number) => {
    const secret = secrets[index % secrets.length] as string
    for (;;) await call(secret)
  }
  const ends = await Promise.allSettled(Array.from({ length: callers }, (_, index) => caller(index)))
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true)
  await client.dispose()
}

describe.each(databases)('durability on %s', (database) => {
  let storage: TestStorage
  beforeAll(async () => {
    storage = await createStorage(database)
  })
  afterAll(() => storage.drop())

  it(`loses no answered call, and counts each requestId once, in ${kills} kill -9 under load`, {
    timeout: 100_000,
  }, async () => {
    const random = new Random(seed)
    const start = () =>
      startServerProcess({ ...storage.environment, AUTH_SECRET: authSecret, LOG_LEVEL: 'warn' })
    const token = async (scopes: Parameters<typeof mintToken>[1]['scopes'], account?: string) =>
      noteSecrets(await mintToken(auth, { subject: 'tester', scopes, account }))
    const operator = await token(['admin'])
    const customer = await token(['keys:read', 'keys:write'], 'hard-hit')
    const gateway = await token(['calls:meter'])
    let server: ServerProcess = await start()

    const plan = { slug: 'unlimited', name: 'Unlimited', maxApiKeys: 5, monthlyCallQuota: null }
    await sendOperation(server.url, SavePlan, { as: operator, variables: { input: plan } })
    const account = { externalId: 'hard-hit', name: 'Hard hit', plan: plan.slug }
    await sendOperation(server.url, SaveAccount, { as: operator, variables: { input: account } })
    const tally = new Map<string, Tally>()
    const secretOf = new Map<string, string>()
    for (let i = 0; i < 3; i++) {
      const { data } = await sendOperation(server.url, AddApiKey, { as: customer, variables: { input: {} } })
      if (data.addApiKey.__typename !== 'AddApiKeyPayload') throw new Error(JSON.stringify(data))
      tally.set(data.addApiKey.secret, { answered: 0, unanswered: new Set() })
      secretOf.set(data.addApiKey.apiKey.id, data.addApiKey.secret)
    }

    for (let kill = 1; kill <= kills; kill++) {
      // After at least one answer, at a different moment each time.
      const enough = answeredIn(tally) + random.int(1, 400)
      await meterUntilItBreaks(server.url, gateway, [...tally.keys()], tally, () => {
        if (answeredIn(tally) >= enough) server.kill('SIGKILL')
      })
      await server.exited
      server = await start()
      const { data } = await sendOperation(server.url, AccountOverview, { as: customer, variables: {} })
      for (const { id, usage } of data.account?.apiKeys.nodes ?? []) {
        const of = tally.get(secretOf.get(id) ?? '')
        if (!of) continue
        expect(usage.calls, `seed ${seed}, kill ${kill}`).toBeGreaterThanOrEqual(of.answered)
        expect(usage.calls, `seed ${seed}, kill ${kill}`).toBeLessThanOrEqual(
          of.answered + of.unanswered.size,
        )
      }
      // Sent again, each call is counted once, whether its commit happened or not.
      for (const [secret, of] of tally) {
        const again = [...of.unanswered].map((requestId) =>
          sendOperation(server.url, MeterApiCallOnce, { as: gateway, variables: { secret, requestId } }),
        )
        for (const { data: answer } of await Promise.all(again))
          expect(answer.meterApiCall.code).toBe('ADMITTED')
        of.answered += of.unanswered.size
        of.unanswered.clear()
      }
      const { data: after } = await sendOperation(server.url, AccountOverview, {
        as: customer,
        variables: {},
      })
      expect(after.account?.usage.calls, `seed ${seed}, kill ${kill}`).toBe(answeredIn(tally))
    }
    expect(answeredIn(tally)).toBeGreaterThan(kills)
    server.kill('SIGTERM')
    expect(await server.exited).toBe(0)
  })
})

function answeredIn(tally: Map<string, Tally>): number {
  return [...tally.values()].reduce((sum, { answered }) => sum + answered, 0)
}
