// Live counts with graphql-ws and createPubSub alone: an event per call, and nothing stored.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { performance } from 'node:perf_hooks'
import { createPubSub } from '@graphql-yoga/subscription'
import { buildSchema } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { secretsOf } from '../load/secrets.mjs'
import { serve, settings } from './process.mjs'

const { accounts } = settings()
const schema = buildSchema(`
  type Account { calls: Int! }
  type Key { apiKeyId: ID! calls: Int! lastCallAt: String }
  type LiveUsage { month: String! snapshot: Boolean! account: Account! apiKeys: [Key!]! }
  type Decision { admitted: Boolean! code: String! message: String! }
  input MeterApiCallInput { secret: String! apiCall: String! }
  type Query { alive: Boolean }
  type Mutation { meterApiCall(input: MeterApiCallInput!): Decision! }
  type Subscription { liveUsage: LiveUsage! }`)
const pubSub = createPubSub()
const indexes = new Map(secretsOf(accounts * 10).map((secret, index) => [secret, index]))
const keyCalls = new Uint32Array(accounts * 10)
const accountCalls = new Uint32Array(accounts)

const eventOf = (account, keys, snapshot) => ({
  liveUsage: {
    month: '2026-11',
    snapshot,
    account: { calls: accountCalls[account] },
    apiKeys: keys.map((key) => ({
      apiKeyId: `key-${key}`,
      calls: keyCalls[key],
      lastCallAt: keyCalls[key] ? new Date().toISOString() : null,
    })),
  },
})
const roots = {
  mutation: {
    meterApiCall: ({ input: { secret } }) => {
      const key = indexes.get(secret)
      const account = Math.floor(key / 10)
      keyCalls[key]++
      accountCalls[account]++
      pubSub.publish(`account-${account}`, eventOf(account, [key], false))
      return { admitted: true, code: 'ADMITTED', message: 'ok' }
    },
  },
  subscription: {
    liveUsage: async function* (_, { account }) {
      const news = pubSub.subscribe(`account-${account}`)
      yield eventOf(
        account,
        Array.from({ length: 10 }, (_, i) => account * 10 + i),
        true,
      )
      yield* news
    },
  },
}
const server = createServer()
useServer(
  {
    schema,
    roots,
    context: ({ connectionParams }) => ({
      account: Number(String(connectionParams?.authorization).split('-').pop()),
    }),
  },
  new WebSocketServer({ server, path: '/graphql' }),
)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
serve(
  { url: `http://127.0.0.1:${server.address().port}/graphql`, gatewayToken: 'gateway-0' },
  async (question) => {
    if (question.kind === 'token') return question.account
    if (question.collect) globalThis.gc?.()
    return { memory: process.memoryUsage(), cpu: process.cpuUsage(), at: performance.now() }
  },
)
