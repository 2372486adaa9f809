// Puts load on a server over HTTP, from a process of its own: many connections, each of which asks again as soon as it is
// answered. Takes its order as JSON in its one argument and prints its report as JSON. It speaks HTTP by hand: a client
// library would spend more time on a call than the server does, and the test would measure the client.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createHistogram } from 'node:perf_hooks'

/**
 * Lets few and many connections ask in turn, `rounds` times: `fewCallers` for `calmSeconds`, which shows the server's
 * capacity, then `manyCallers` for `overloadSeconds`. Both are related to the CPU time that the server process, `pid`, was
 * given, because other programs on the machine take a share of it that changes from one second to the next.
 * @typedef {{ url: string, token: string, secrets: string[], pid: number, rounds: number, fewCallers: number,
 *   calmSeconds: number, manyCallers: number, overloadSeconds: number }} Order
 */

/** @type {Order} */
const order = JSON.parse(process.argv[2] ?? '')
const { url, token, secrets, pid, rounds, fewCallers, calmSeconds, manyCallers, overloadSeconds } = order
const { host, hostname, port } = new URL(url)

/** The CPU time that the server's main thread has been given so far, in seconds. */
const serverCpuSeconds = () => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9

const query =
  'mutation ($s: String!, $a: String!) { meterApiCall(input: { secret: $s, apiCall: $a }) { code } }'
const requests = secrets.map((s) => {
  const body = JSON.stringify({ query, variables: { s, a: 'v3.ping' } })
  return (
    `POST /graphql HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  )
})

let closed = 0
const sockets = Array.from({ length: manyCallers }, () => {
  const socket = connect(Number(port), hostname).setEncoding('latin1')
  socket.on('error', () => {})
  socket.on('close', () => closed++)
  return socket
})
// The server accepts one connection in a turn of its event loop; all of them have to be accepted before the load begins.
await Promise.all(
  sockets.map(async (socket) => {
    socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    await once(socket, 'data')
  }),
)

/** The first `callers` connections ask, each again as soon as it is answered. @param {number} callers @param {number} seconds */
async function ask(callers, seconds) {
  const latency = createHistogram()
  /** @type {Record<string, number>} */
  const codes = {}
  const [startedAt, cpuAtStart] = [performance.now(), serverCpuSeconds()]
  const isOver = () => performance.now() - startedAt >= seconds * 1_000
  await Promise.all(
    sockets.slice(0, callers).map(async (socket, caller) => {
      while (!isOver() && !socket.destroyed) {
        const askedAt = performance.now()
        socket.write(requests[caller % requests.length] ?? '')
        const answer = await answerOn(socket)
        const code = /"code":"(\w+)"/.exec(answer)?.[1] ?? answer
        codes[code] = (codes[code] ?? 0) + 1
        latency.record(Math.max(1, Math.round((performance.now() - askedAt) * 1_000)))
      }
    }),
  )
  const admitted = codes.ADMITTED ?? 0
  const tookSeconds = (performance.now() - startedAt) / 1_000
  return {
    codes,
    admittedPerCpuSecond: admitted / (serverCpuSeconds() - cpuAtStart),
    answeredPerSecond: latency.count / tookSeconds,
    p99Ms: latency.percentile(99) / 1_000,
  }
}

/** The next answer: it is small, and ends with the object that it is. @param {import('node:net').Socket} socket @returns {Promise<string>} */
function answerOn(socket) {
  return new Promise((resolve) => {
    let received = ''
    const end = () => {
      socket.off('data', onData)
      socket.off('close', end)
      resolve(received || 'closed')
    }
    /** @param {string} text */
    const onData = (text) => {
      received += text
      if (received.endsWith('}')) end()
    }
    socket.on('data', onData)
    socket.on('close', end)
  })
}

const warmUp = await ask(fewCallers, calmSeconds)
const reports = []
for (let round = 0; round < rounds; round++) {
  const before = await ask(fewCallers, calmSeconds)
  reports.push({ before, during: await ask(manyCallers, overloadSeconds) })
}
process.stdout.write(JSON.stringify({ warmUp, rounds: reports, closed }))
for (const socket of sockets) socket.destroy()
