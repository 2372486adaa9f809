// Many subscribers of live counts in a process of their own. Told where and how many, it opens them, and says how long events took to arrive.
import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import WebSocket from 'ws'

const { url, query, perSocket = 1 } = JSON.parse(process.argv[2])
// Too many for an argument.
const [{ tokens }] = await once(process, 'message')
const latency = createHistogram()
let [opened, events, recording] = [0, 0, false]

function open(token) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', {
      perMessageDeflate: false,
    })
    let snapshots = 0
    socket.on('error', reject)
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
    )
    socket.on('message', (data) => {
      const text = data.toString('latin1')
      if (text.startsWith('{"type":"connection_ack"'))
        for (let i = 0; i < perSocket; i++)
          socket.send(JSON.stringify({ id: String(i), type: 'subscribe', payload: { query } }))
      else if (text.includes('"type":"ping"')) socket.send('{"type":"pong"}')
      else if (snapshots < perSocket) {
        snapshots++
        opened++
        if (snapshots === perSocket) resolve(socket)
      } else if (recording) {
        events++
        // When the newest call of the event was counted is in it.
        let newest = 0
        for (const [, at] of text.matchAll(/"lastCallAt":"([^"]+)"/g))
          newest = Math.max(newest, Date.parse(at))
        if (newest > 0) latency.record(Math.max(1, Date.now() - newest))
      }
    })
  })
}

process.on('message', (message) => {
  if (message === 'record') recording = true
  if (message === 'report')
    process.send({
      opened,
      events,
      p50Ms: latency.percentile(50),
      p99Ms: latency.percentile(99),
      maxMs: latency.max,
    })
})
for (let from = 0; from < tokens.length; from += 200)
  await Promise.all(tokens.slice(from, from + 200).map(open))
process.send({ opened })
