// The load generator, in a process of its own. Takes its orders as JSON in its one argument, prints what it met.
import { httpClients } from './http.mjs'
import { pickerOf } from './picker.mjs'
import { secretsOf } from './secrets.mjs'
import { delay, run } from './stats.mjs'
import { webSocketClients } from './websocket.mjs'

const order = JSON.parse(process.argv[2])
const { transport, operation, keys, batch = 1 } = order

const secrets = operation === 'noop' ? [] : (order.secrets ?? secretsOf(keys))
const pick = pickerOf(order)
const operations = {
  meter: (secret) =>
    `{"query":"mutation($s:String!,$a:String!){meterApiCall(input:{secret:$s,apiCall:$a}){admitted code message}}","variables":{"s":"${secret}","a":"v3.ping"}}`,
  meterMany: (many) =>
    `{"query":"mutation($c:[MeterApiCallInput!]!){meterApiCalls(input:{calls:$c}){decisions{admitted code message}}}","variables":{"c":[${many.map((secret) => `{"secret":"${secret}","apiCall":"v3.ping"}`).join(',')}]}}`,
  noop: () => '{"query":"mutation{noop{admitted code message}}"}',
  handRolled: (secret) =>
    `{"query":"mutation($s:String!,$a:String!){meter(secret:$s,apiCall:$a){admitted calls}}","variables":{"s":"${secret}","a":"v3.ping"}}`,
  verify: (secret) => `{"key":"${secret}"}`,
}

const clients = await (transport === 'http' ? httpClients : webSocketClients)(order)
const text = () => secrets[pick()]
const makeBody =
  batch > 1
    ? () => operations[operation](Array.from({ length: batch }, text))
    : () => operations[operation](text())

// With a rate given, every caller waits for its next turn; without one it asks again at once.
const pauseMs = order.callsPerSecond ? (order.callers * 1_000) / order.callsPerSecond : 0
const turns = []

const before = async (caller) => {
  if (pauseMs === 0) return
  turns[caller] = Math.max(
    performance.now(),
    (turns[caller] ?? performance.now() + Math.random() * pauseMs) + pauseMs,
  )
  await delay(turns[caller] - performance.now())
}
const call = async (caller) => {
  const answer = await clients[caller].send(makeBody())
  const admitted = answer.split('"admitted":true').length - 1
  const refused = answer.split('"admitted":false').length - 1
  if (admitted + refused !== batch) throw new Error(`Not an answer: ${answer.slice(0, 300)}`)
  return { calls: batch, refused }
}
const result = await run({ ...order, before, call })
for (const client of clients) client.close()
process.stdout.write(JSON.stringify(result))
