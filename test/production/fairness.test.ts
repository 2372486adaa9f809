import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { sendOperation } from '../support/app.ts'
import { MeterApiCall } from '../support/operations.ts'
import { percentile } from './support/bystander.ts'
import { LoadedServer, type MeteredAccount } from './support/overload-server.ts'

/** How much longer another account's operations may take beside an account with endless demand. */
const promisedFactor = 2
/** Below this, times say more about the machine than about the server. */
const floorMs = 25
/** Other programs on the machine make some rounds slow; the best of them shows what the server does. */
const mostRounds = 5
const windowMs = 3_000
const keys = 100
const greedyConnections = 32

const page = `{ account { apiKeys(first: ${keys}) { totalCount nodes { id note start lastCallAt
  access { mode apiCalls { name } } usage { calls } usageHistory(months: 12) { month calls } } } } }`
const overview = `{ viewer { account { name apiKeysRemaining usage { calls quota }
  apiKeys(first: 5) { totalCount nodes { id start lastCallAt usage { calls } } } } } }`

interface Answer {
  status: number | undefined
  text: string
  tookMs: number
}

/** Sends operations as a customer or gateway does, on connections that are kept open. */
function createClient(url: string, token: string, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const send = (query: string, variables?: object) =>
    new Promise<Answer>((resolve, reject) => {
      const body = JSON.stringify({ query, variables })
      const headers = {
        'content-type': 'application/json',
        'content-length': body.length,
        authorization: `Bearer ${token}`,
      }
      const startedAt = performance.now()
      request(`${url}/graphql`, { agent, method: 'POST', headers }, async (response) => {
        const text = Buffer.concat(await response.toArray()).toString()
        resolve({ status: response.statusCode, text, tookMs: performance.now() - startedAt })
      })
        .on('error', reject)
        .end(body)
    })
  return { send, close: () => agent.destroy() }
}
type Client = ReturnType<typeof createClient>

describe('an account with endless demand', () => {
  let server: LoadedServer
  let accounts: MeteredAccount[]
  const clients: Client[] = []
  const unanswered: Answer[] = []
  const notAdmitted: Answer[] = []
  const factors: number[] = []
  let pages = 0

  beforeAll(async () => {
    server = await LoadedServer.start({ METER_TIMEOUT_MS: '10000' })
    accounts = await server.createAccounts(2)
    await fill(accounts[0] as MeteredAccount)
    const clientOf = (token: string, connections = 4) => {
      const client = createClient(server.url, token, connections)
      clients.push(client)
      return client
    }
    const [greedy, modest] = accounts as [MeteredAccount, MeteredAccount]
    const gateway = clientOf(server.gatewayToken)
    const bystanders = () => observe(clientOf(modest.token), gateway, modest.secret)
    await bystanders()
    while (factors.length < mostRounds && !(Math.min(...factors) < promisedFactor)) {
      const aloneMs = await bystanders()
      const stop = demand(clientOf(greedy.token, greedyConnections))
      // Until the first answers, the server does not know what the demand takes.
      const answeredBefore = pages
      await vi.waitUntil(() => pages > answeredBefore + 4, { timeout: 20_000 })
      const besideMs = await bystanders()
      await stop()
      factors.push(besideMs / Math.max(aloneMs, floorMs))
    }
  }, 240_000)
  afterAll(async () => {
    for (const client of clients) client.close()
    await server.stop()
  })

  /** Gives an account as many keys as a page has, each restricted to the whole catalogue. */
  async function fill({ token }: MeteredAccount): Promise<void> {
    const plan = `mutation { savePlan(input: { slug: "load", name: "Load", maxApiKeys: ${keys} }) { __typename } }`
    await sendOperation(server.url, plan, { as: server.operatorToken })
    const { data } = await sendOperation<{ apiCalls: { name: string }[] }, object>(
      server.url,
      '{ apiCalls { name } }',
      { as: token },
    )
    const input = { access: { mode: 'RESTRICTED', apiCalls: data.apiCalls.map(({ name }) => name) } }
    const add = 'mutation ($input: AddApiKeyInput!) { addApiKey(input: $input) { __typename } }'
    for (let i = 1; i < keys; i++) await sendOperation(server.url, add, { as: token, variables: { input } })
  }

  /** Asks for heavy pages on every connection, again as soon as one is answered. Returns a function that ends it. */
  function demand({ send }: Client): () => Promise<unknown> {
    let isWanted = true
    const all = Array.from({ length: greedyConnections }, async () => {
      while (isWanted) if ((await send(page)).status === 200) pages++
    })
    return () => {
      isWanted = false
      return Promise.all(all)
    }
  }

  /** The p99 of a customer that asks steadily; a gateway meters meanwhile. */
  async function observe(customer: Client, gateway: Client, secret: string): Promise<number> {
    const times: number[] = []
    const endsAt = performance.now() + windowMs
    const steadily = async (ask: () => Promise<void>) => {
      while (performance.now() < endsAt) {
        await ask()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    await Promise.all([
      steadily(async () => {
        const answer = await customer.send(overview)
        if (answer.status !== 200 || answer.text.includes('"errors"')) unanswered.push(answer)
        times.push(answer.tookMs)
      }),
      steadily(async () => {
        const answer = await gateway.send(String(MeterApiCall), { secret, apiCall: 'v3.ping' })
        if (!answer.text.includes('ADMITTED')) notAdmitted.push(answer)
      }),
    ])
    return percentile(times, 99)
  }

  it('is answered as well', () => expect(pages).toBeGreaterThan(0))

  it('has no other account refused', () => expect(unanswered).toEqual([]))

  it('has no metered call refused', () => expect(notAdmitted).toEqual([]))

  it(`delays another account to at most ${promisedFactor} times the p99 that it has alone`, () => {
    expect(Math.min(...factors), `of ${factors}`).toBeLessThan(promisedFactor)
  })
})
