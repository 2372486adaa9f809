// What everyone else sees while a server is attacked: a process of its own that asks at fixed rates, whether or not
// there were answers to what it asked before. It is told `record` and `report` by messages.
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setPriority } from 'node:os'
import { createHistogram } from 'node:perf_hooks'
import WebSocket from 'ws'
import { secretOf } from '../load/secrets.mjs'

const { url, pid, gatewayToken, customerToken, keys } = JSON.parse(process.argv[2])
const meterText = 'mutation($s:String!,$a:String!){meterApiCall(input:{secret:$s,apiCall:$a}){admitted code}}'
const customerText = '{ account { name apiKeys(first: 20) { nodes { id note usage { calls } } } } }'

/** An unanswered question counts with its age. Asking goes on up to this many. */
const mostUnanswered = 200
const patienceMs = 60_000
const agent = new Agent({ keepAlive: true, maxSockets: mostUnanswered })

try {
  // Attackers must not delay what the probe measures.
  setPriority(-10)
} catch {
  // Only root may.
}

/** CPU time of the server's event loop, where the kernel counts it. */
function serverBusyMs() {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return Number.NaN
  }
}

/** One kind of question: how long its answers take, and how many are not what they should be. */
class Series {
  #times = createHistogram()
  #asked = new Map()
  #ids = 0
  refused = 0
  /** A few of the answers that were not right. */
  #examples = []
  #worst = { ms: 0, busyMs: 0 }

  async ask(question) {
    if (this.#asked.size >= mostUnanswered) return
    const id = this.#ids++
    const startedAt = performance.now()
    const busyBefore = serverBusyMs()
    this.#asked.set(id, startedAt)
    // An answer that is not right is text, and so is the reason for none.
    const wrong = await question().catch((error) => error.code ?? error.message)
    // Otherwise it was asked before recording began.
    if (!this.#asked.delete(id)) return
    const ms = performance.now() - startedAt
    this.#note(ms)
    if (ms > this.#worst.ms) this.#worst = { ms, busyMs: serverBusyMs() - busyBefore }
    if (wrong === undefined) return
    this.refused++
    if (this.#examples.length < 3) this.#examples.push(wrong.slice(0, 200))
  }

  #note(ms) {
    this.#times.record(Math.max(1, Math.round(ms * 1_000)))
  }

  restart() {
    this.#times.reset()
    this.#asked.clear()
    this.refused = 0
    this.#examples = []
    this.#worst = { ms: 0, busyMs: 0 }
  }

  report() {
    const now = performance.now()
    const asked = this.#times.count
    for (const startedAt of this.#asked.values()) this.#note(now - startedAt)
    return {
      asked,
      unanswered: this.#asked.size,
      refused: this.refused,
      examples: this.#examples,
      worstMs: this.#times.max / 1_000,
      busyMs: this.#worst.busyMs,
      p99Ms: this.#times.percentile(99) / 1_000,
    }
  }
}

const series = { health: new Series(), metered: new Series(), customer: new Series() }

function overHttp(path, { body, token, keepAlive = true } = {}) {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}),
    }
    const options = {
      method: body ? 'POST' : 'GET',
      headers,
      agent: keepAlive ? agent : false,
      timeout: patienceMs,
    }
    const sent = request(new URL(path, url), options, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode, text }))
      response.on('error', reject)
    })
    sent.on('timeout', () => sent.destroy(new Error('too late')))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** A gateway's WebSocket. Calls that wait when it is closed have been refused. */
class Gateway {
  #socket
  #waiting = new Map()
  #ids = 0

  async connect() {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', {
      perMessageDeflate: false,
    })
    socket.on('open', () =>
      socket.send(
        JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${gatewayToken}` } }),
      ),
    )
    socket.on('message', (data) => this.#answered(JSON.parse(String(data)), socket))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#socket = undefined
      for (const answer of this.#waiting.values()) answer('closed')
      this.#waiting.clear()
      setTimeout(() => this.connect(), 100)
    })
    await new Promise((resolve) => {
      socket.once('message', resolve)
      socket.once('close', resolve)
    })
  }

  #answered({ type, id, payload }, socket) {
    if (type === 'connection_ack') this.#socket = socket
    if (type !== 'next' && type !== 'error') return
    this.#waiting.get(id)?.(JSON.stringify(payload))
    this.#waiting.delete(id)
  }

  meter(payload) {
    if (!this.#socket) return Promise.resolve('not connected')
    const id = String(++this.#ids)
    this.#socket.send(`{"id":"${id}","type":"subscribe","payload":${payload}}`)
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }
}

const payload = () =>
  JSON.stringify({
    query: meterText,
    variables: { s: secretOf(Math.floor(Math.random() * keys)), a: 'v3.ping' },
  })
/** An attacker's own keys may be denied: that is an answer. */
const unlessDecided = (text) => (text.includes('"admitted":') ? undefined : text)

/** What is asked: each answers undefined if all is well. */
const meterOverWebSocket = async () => unlessDecided(await gateway.meter(payload()))
const meterOverHttp = async () =>
  unlessDecided((await overHttp('/graphql', { body: payload(), token: gatewayToken })).text)
const health = (keepAlive) => async () => {
  const { status, text } = await overHttp('/health', { keepAlive })
  return status === 200 ? undefined : text
}
const page = async () => {
  const { text } = await overHttp('/graphql', {
    body: JSON.stringify({ query: customerText }),
    token: customerToken,
  })
  return text.includes('"errors"') ? text : undefined
}

const gateway = new Gateway()
await gateway.connect()

let tick = 0
let lateMs = 0
let dueAt = performance.now()
const tickMs = 10
setInterval(() => {
  const now = performance.now()
  lateMs = Math.max(lateMs, now - dueAt - tickMs)
  dueAt = now
  tick++
  void series.metered.ask(meterOverWebSocket)
  if (tick % 5 === 0) void series.metered.ask(meterOverHttp)
  if (tick % 5 === 1) void series.health.ask(health(tick % 10 === 1))
  if (tick % 10 === 2) void series.customer.ask(page)
}, tickMs)

process.on('message', (message) => {
  if (message === 'record') {
    for (const each of Object.values(series)) each.restart()
    lateMs = 0
    process.send('recording')
  }
  if (message === 'report')
    process.send({
      ...Object.fromEntries(Object.entries(series).map(([name, each]) => [name, each.report()])),
      lateMs,
    })
})
process.on('disconnect', () => process.exit())
process.send({ ready: true, pid })
