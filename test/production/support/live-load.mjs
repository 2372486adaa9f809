// One account's subscribers, in a process of their own: opens `sockets` WebSockets with as many subscriptions each, reads
// their events or none, and says at the end what it was sent.
import WebSocket from 'ws'

/**
 * @typedef {{ url: string, token: string, sockets: number, subscriptions: number, query: string, reads: boolean,
 *   seconds: number }} Order
 */

/** @type {Order} */
const { url, token, sockets, subscriptions, query, reads, seconds } = JSON.parse(process.argv[2] ?? '')
/** @type {{ open: number, events: number, subscribed: number, codes: Record<string, number>, closeCodes: Record<string, number> }} */
const report = { open: 0, events: 0, subscribed: 0, codes: {}, closeCodes: {} }

function open() {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
  socket.on('error', () => {})
  socket.on('close', (code) => {
    report.open--
    report.closeCodes[code] = (report.closeCodes[code] ?? 0) + 1
  })
  socket.on('open', () => {
    report.open++
    const payload = { authorization: `Bearer ${token}` }
    socket.send(JSON.stringify({ type: 'connection_init', payload }))
  })
  socket.on('message', (data) => {
    const text = String(data)
    if (text.includes('"type":"connection_ack"')) {
      for (let i = 0; i < subscriptions; i++)
        socket.send(JSON.stringify({ id: String(i), type: 'subscribe', payload: { query } }))
      report.subscribed += subscriptions
      if (!reads) socket.pause()
    } else if (text.includes('"type":"next"')) {
      report.events++
      const code = /"code":"(\w+)"/.exec(text)?.[1]
      if (code) report.codes[code] = (report.codes[code] ?? 0) + 1
    }
  })
}

for (let i = 0; i < sockets; i++) open()
setTimeout(() => {
  process.stdout.write(JSON.stringify(report))
  process.exit()
}, seconds * 1_000)
