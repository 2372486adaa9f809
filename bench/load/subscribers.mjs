// Many subscribers of live counts, in a process of their own: opens one WebSocket per token it is sent, and measures how
// long events took to arrive.
import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import WebSocket from 'ws'

const [{ url, query, tokens }] = await once(process, 'message')
const latency = createHistogram()
let events = 0
let recordingSince

function open(token) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', {
      perMessageDeflate: false,
    })
    let subscribed = false
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('The server closed a subscription.')))
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
    )
    socket.on('message', (data) => {
      const text = data.toString('latin1')
      if (text.startsWith('{"type":"connection_ack"'))
        socket.send(JSON.stringify({ id: '0', type: 'subscribe', payload: { query } }))
      else if (text.includes('"type":"ping"')) socket.send('{"type":"pong"}')
      else if (!subscribed) {
        // The snapshot that each subscription starts with.
        subscribed = true
        resolve()
      } else if (recordingSince !== undefined) record(text)
    })
  })
}

function record(text) {
  events++
  // The server's clock is this machine's: an event contains when its newest call was counted.
  let newest = 0
  for (const [, at] of text.matchAll(/"lastCallAt":"([^"]+)"/g)) newest = Math.max(newest, Date.parse(at))
  if (newest > 0) latency.record(Math.max(1, Date.now() - newest))
}

process.on('message', (message) => {
  if (message === 'record') recordingSince = performance.now()
  if (message === 'report')
    process.send({
      deliveryP50Ms: latency.percentile(50),
      deliveryP99Ms: latency.percentile(99),
      framesPerSecond: events / ((performance.now() - recordingSince) / 1_000),
    })
})
process.on('disconnect', () => process.exit())
for (let from = 0; from < tokens.length; from += 200)
  await Promise.all(tokens.slice(from, from + 200).map(open))
process.send('subscribed')
