// Load on a server, from a process of its own. Takes its order as JSON in its one argument, prints what it met.
import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import WebSocket from 'ws'

/**
 * With `callers`, so many loops that each wait for their answer; with `perSecond`, so many calls whether answers
 * come or not; for `seconds`. Then the answers that are still out are waited for, as long again.
 * @typedef {{ url: string, token: string, secrets: string[], sockets: number, callers?: number, perSecond?: number,
 *   seconds: number }} Order
 */

/** @type {Order} */
const { url, token, secrets, sockets, callers, perSecond, seconds } = JSON.parse(process.argv[2] ?? '')

const latency = { ADMITTED: createHistogram(), OVERLOADED: createHistogram() }
/** @type {Record<string, number>} */
const codes = {}
/** @type {Map<string, { id: string, sentAt: number, answered: () => void }>} */
const waiting = new Map()
let [sent, closed] = [0, 0]

async function open() {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }))
  await once(socket, 'message')
  socket.on('message', (data) => take(String(data)))
  socket.on('close', () => closed++)
  return socket
}

/** @param {string} text */
function take(text) {
  const call = waiting.get(/"id":"(\d+)"/.exec(text)?.[1] ?? '')
  if (!call || text.includes('"type":"complete"')) return
  waiting.delete(call.id)
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? text
  codes[code] = (codes[code] ?? 0) + 1
  const histogram = code === 'ADMITTED' || code === 'OVERLOADED' ? latency[code] : undefined
  histogram?.record(Math.max(1, Math.round((performance.now() - call.sentAt) * 1_000)))
  call.answered()
}

const connections = await Promise.all(Array.from({ length: sockets }, open))

const query =
  'mutation ($s: String!, $a: String!) { meterApiCall(input: { secret: $s, apiCall: $a }) { code } }'

/** @param {() => void} answered */
function send(answered) {
  const id = String(++sent)
  waiting.set(id, { id, sentAt: performance.now(), answered })
  const variables = { s: secrets[sent % secrets.length], a: 'v3.ping' }
  connections[sent % sockets]?.send(JSON.stringify({ id, type: 'subscribe', payload: { query, variables } }))
}

const startedAt = performance.now()
const elapsedSeconds = () => (performance.now() - startedAt) / 1_000
/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function loop() {
  while (elapsedSeconds() < seconds) await new Promise((resolve) => send(() => resolve(undefined)))
}

if (callers) await Promise.all(Array.from({ length: callers }, loop))
else
  while (elapsedSeconds() < seconds) {
    for (const due = elapsedSeconds() * (perSecond ?? 0); sent < due; ) send(() => {})
    await pause(5)
  }
const took = elapsedSeconds()
while (waiting.size > 0 && elapsedSeconds() < took + seconds * 2) await pause(20)

process.stdout.write(
  JSON.stringify({
    sent,
    codes,
    unanswered: waiting.size,
    closed,
    admittedPerSecond: (codes.ADMITTED ?? 0) / took,
    admittedP99Ms: latency.ADMITTED.percentile(99) / 1_000,
    overloadedP99Ms: latency.OVERLOADED.percentile(99) / 1_000,
  }),
)
for (const connection of connections) connection.terminate()
