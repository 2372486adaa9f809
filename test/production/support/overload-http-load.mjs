// Load on a server over HTTP, from a process of its own: so many connections, each of which asks again as soon as it is
// answered. Takes its order as JSON in its one argument, prints what it met.
import { once } from 'node:events'
import { connect } from 'node:net'
import { createHistogram } from 'node:perf_hooks'

/** @typedef {{ url: string, token: string, secrets: string[], callers: number, seconds: number }} Order */

/** @type {Order} */
const { url, token, secrets, callers, seconds } = JSON.parse(process.argv[2] ?? '')
const { host, hostname, port } = new URL(url)

const latency = createHistogram()
/** @type {Record<string, number>} */
const codes = {}
let closed = 0

const query =
  'mutation ($s: String!, $a: String!) { meterApiCall(input: { secret: $s, apiCall: $a }) { code } }'
const requests = secrets.map((s) => {
  const body = JSON.stringify({ query, variables: { s, a: 'v3.ping' } })
  return (
    `POST /graphql HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  )
})

const sockets = Array.from({ length: callers }, () => connect(Number(port), hostname).setEncoding('latin1'))
// Node.js takes one connection in a turn of the event loop; all of them have to be taken before the load begins.
await Promise.all(
  sockets.map(async (socket) => {
    socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    await once(socket, 'data')
  }),
)
const startedAt = performance.now()
const elapsedSeconds = () => (performance.now() - startedAt) / 1_000

await Promise.all(
  sockets.map(async (socket, caller) => {
    /** @type {(answer: string) => void} */
    let take = () => {}
    let received = ''
    // An answer is small, and ends with the object that it is.
    socket.on('data', (text) => {
      received += text
      if (!received.endsWith('}')) return
      take(received)
      received = ''
    })
    socket.on('close', () => take('closed'))
    while (elapsedSeconds() < seconds) {
      const askedAt = performance.now()
      const answer = await new Promise((resolve) => {
        take = resolve
        socket.write(requests[caller % requests.length] ?? '')
      })
      if (answer === 'closed') {
        closed++
        return
      }
      const code = /"code":"(\w+)"/.exec(answer)?.[1] ?? answer
      codes[code] = (codes[code] ?? 0) + 1
      latency.record(Math.max(1, Math.round((performance.now() - askedAt) * 1_000)))
    }
    take = () => {}
    socket.destroy()
  }),
)
process.stdout.write(
  JSON.stringify({
    codes,
    closed,
    admittedPerSecond: (codes.ADMITTED ?? 0) / elapsedSeconds(),
    p99Ms: latency.percentile(99) / 1_000,
  }),
)
