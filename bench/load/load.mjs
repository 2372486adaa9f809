// The load generator, a process of its own. Reads an order from stdin as JSON, and prints what it measured as JSON.
import { randomUUID } from 'node:crypto'
import { json } from 'node:stream/consumers'
import { httpClients } from './http.mjs'
import { pickerOf } from './picker.mjs'
import { delay, run } from './stats.mjs'
import { webSocketClients } from './websocket.mjs'

const order = await json(process.stdin)
const { transport, operation, keys, batch = 1 } = order

// Loaded only where needed: it comes from this checkout's build, which other checkouts do not depend on.
const secretsByNumber = async () => (await import('./secrets.mjs')).secretsOf(keys)
const secrets = operation === 'noop' ? [] : (order.secrets ?? (await secretsByNumber()))
const pick = pickerOf(order)
const operations = {
  meter: (secret) =>
    `{"query":"mutation($s:String!,$a:String!){meterApiCall(input:{secret:$s,apiCall:$a}){admitted code message}}","variables":{"s":"${secret}","a":"v3.ping"}}`,
  meterOnce: (secret) =>
    `{"query":"mutation($s:String!,$a:String!,$r:String!){meterApiCall(input:{secret:$s,apiCall:$a,requestId:$r}){admitted code message}}","variables":{"s":"${secret}","a":"v3.ping","r":"${randomUUID()}"}}`,
  // In the last of the networks that `fill` allows.
  meterFromAddress: (secret) =>
    `{"query":"mutation($s:String!,$a:String!,$i:String!){meterApiCall(input:{secret:$s,apiCall:$a,clientIp:$i}){admitted code message}}","variables":{"s":"${secret}","a":"v3.ping","i":"10.0.9.77"}}`,
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

// At a given rate every caller waits until its next call is due; without one it calls again at once.
const pauseMs = order.callsPerSecond ? (order.callers * 1_000) / order.callsPerSecond : 0
const due = []

const before = async (caller) => {
  if (pauseMs === 0) return
  const now = performance.now()
  due[caller] = Math.max(now, (due[caller] ?? now + Math.random() * pauseMs) + pauseMs)
  await delay(due[caller] - now)
}
const call = async (caller) => {
  const answer = await clients[caller].send(makeBody())
  const admitted = answer.split('"admitted":true').length - 1
  const refused = answer.split('"admitted":false').length - 1
  if (admitted + refused !== batch) throw new Error(`Not a decision: ${answer.slice(0, 300)}`)
  return { calls: batch, refused }
}
const result = await run({ ...order, before, call })
for (const client of clients) client.close()
process.stdout.write(JSON.stringify(result))
