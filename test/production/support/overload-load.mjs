// Puts load on a server over graphql-transport-ws, from a process of its own. Takes its order as JSON in its one
// argument and prints its report as JSON. It speaks WebSocket by hand (RFC 6455): a client library would spend more
// time on a call than the server does, and the test would measure the client.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createHistogram } from 'node:perf_hooks'

/**
 * Puts the server under two kinds of load in turn, `rounds` times. For `calmSeconds`, `callers` loops each wait for
 * their answer before they ask again, which shows what the server can do. For `overloadSeconds`, calls are sent whether
 * answers come or not, `factor` times as many as the server can do.
 *
 * Other programs on the machine take a share of the processors that changes from one second to the next. So both are
 * related to the CPU time that the server process, `pid`, was given: capacity is calls per second of its CPU time, and
 * in an overload each second of its CPU time brings `factor` times as many calls.
 * @typedef {{ url: string, token: string, secrets: string[], pid: number, sockets: number, rounds: number,
 *   callers: number, calmSeconds: number, overloadSeconds: number, factor: number }} Order
 */

/** @type {Order} */
const order = JSON.parse(process.argv[2] ?? '')
const { url, token, secrets, pid, sockets, rounds, callers, calmSeconds, overloadSeconds, factor } = order
const { host, hostname, port } = new URL(url)

/** How long answers that are still out are waited for. */
const drainSeconds = 10

/** A server that is idle is given no CPU time; it is sent calls as though it had been given this share of it. */
const leastShare = 0.1

/** The CPU time that the server's main thread has been given so far, in seconds. */
const serverCpuSeconds = () => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9

const opcodes = { close: 8, ping: 9, pong: 10 }
const idDigits = 8

/** A text frame, masked with zeros; all that is sent here takes 126 to 65,535 bytes. @param {string} text */
function frame(text) {
  const head = [0x81, 0x80 | 126, text.length >> 8, text.length & 0xff, 0, 0, 0, 0]
  return String.fromCharCode(...head) + text
}

const query =
  'mutation ($s: String!, $a: String!) { meterApiCall(input: { secret: $s, apiCall: $a }) { code } }'
/** What is sent before and after the id of a call, for each secret. */
const calls = secrets.map((s) => {
  const payload = JSON.stringify({ query, variables: { s, a: 'v3.ping' } })
  const [before = '', after = ''] = frame(
    `{"id":"${'#'.repeat(idDigits)}","type":"subscribe","payload":${payload}}`,
  ).split('#'.repeat(idDigits))
  return { before, after }
})

/** When each call was sent, by its id; 0 once it is answered. @type {number[]} */
const sentAt = []
let [waiting, closed, repeated] = [0, 0, 0]
/** The connections whose `connection_init` was acknowledged. @type {Set<import('node:net').Socket>} */
const acknowledged = new Set()
/** How often each code was answered, and after how many milliseconds, in the phase under way. */
let phase = newPhase()
/** Told of each answer. @type {(code: string) => void} */
let onAnswer = () => {}

function newPhase() {
  /** @type {Record<string, number>} */
  const codes = {}
  const [startedAt, cpuAtStart] = [performance.now(), serverCpuSeconds()]
  return { startedAt, cpuAtStart, codes, admitted: createHistogram(), overloaded: createHistogram() }
}

const connections = await Promise.all(Array.from({ length: sockets }, open))

async function open() {
  const socket = connect(Number(port), hostname).setNoDelay().setEncoding('latin1')
  socket.setDefaultEncoding('latin1')
  const key = Buffer.alloc(16).toString('base64')
  socket.write(
    `GET /graphql HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
  )
  const [handshake] = await once(socket, 'data')
  // The server's first ping may arrive with its handshake.
  let unread = readFrames(socket, handshake.slice(handshake.indexOf('\r\n\r\n') + 4))
  socket.on('data', (/** @type {string} */ data) => {
    unread = readFrames(socket, unread + data)
  })
  const authorization = `Bearer ${token}`
  socket.write(frame(JSON.stringify({ type: 'connection_init', payload: { authorization } })))
  while (!acknowledged.has(socket)) await once(socket, 'data')
  socket.on('error', () => {})
  socket.on('close', () => closed++)
  return socket
}

/** Takes in every complete frame. Returns the rest. @param {import('node:net').Socket} socket @param {string} text */
function readFrames(socket, text) {
  let at = 0
  while (at + 4 <= text.length) {
    let length = text.charCodeAt(at + 1)
    let start = at + 2
    if (length === 126) {
      length = (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3)
      start = at + 4
    }
    if (start + length > text.length) break
    const payload = text.slice(start, start + length)
    const opcode = text.charCodeAt(at) & 0x0f
    at = start + length
    if (opcode === opcodes.ping)
      socket.write(String.fromCharCode(0x80 | opcodes.pong, 0x80 | length, 0, 0, 0, 0) + payload)
    else if (opcode !== opcodes.close) take(socket, payload)
  }
  return text.slice(at)
}

/** @param {import('node:net').Socket} socket @param {string} message */
function take(socket, message) {
  if (message === '{"type":"connection_ack"}') return void acknowledged.add(socket)
  const id = Number(/^\{"id":"(\d+)"/.exec(message)?.[1])
  if (message.includes('"type":"complete"')) return
  const code = /"code":"(\w+)"/.exec(message)?.[1] ?? message
  phase.codes[code] = (phase.codes[code] ?? 0) + 1
  const since = sentAt[id]
  if (!since) {
    repeated++
    return
  }
  sentAt[id] = 0
  waiting--
  const tookUs = Math.max(1, Math.round((performance.now() - since) * 1_000))
  if (code === 'ADMITTED') phase.admitted.record(tookUs)
  else if (code === 'OVERLOADED') phase.overloaded.record(tookUs)
  onAnswer(code)
}

/** The next call, as it is sent. */
function nextCall() {
  const id = sentAt.push(performance.now()) - 1
  waiting++
  const { before = '', after = '' } = calls[id % calls.length] ?? {}
  return before + String(id).padStart(idDigits, '0') + after
}

/** Sends so many calls, spread over the sockets. @param {number} count */
function send(count) {
  const texts = connections.map(() => '')
  for (let i = 0; i < count; i++) texts[sentAt.length % sockets] += nextCall()
  for (const [index, text] of texts.entries()) if (text) connections[index]?.write(text)
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const elapsedSeconds = () => (performance.now() - phase.startedAt) / 1_000

/** Resolves when every call is answered, or the time for it is up. */
async function drained() {
  const until = performance.now() + drainSeconds * 1_000
  while (waiting > 0 && closed < sockets && performance.now() < until) await pause(1)
}

/** What has been admitted in this phase for each second of the server's CPU time, and in all. */
const throughput = () => ({
  admittedPerCpuSecond: (phase.codes.ADMITTED ?? 0) / (serverCpuSeconds() - phase.cpuAtStart),
  admittedPerSecond: (phase.codes.ADMITTED ?? 0) / elapsedSeconds(),
})

/** Loops that each wait for their answer. */
async function calm() {
  phase = newPhase()
  onAnswer = () => elapsedSeconds() < calmSeconds && send(1)
  send(callers)
  while (elapsedSeconds() < calmSeconds && closed < sockets) await pause(5)
  onAnswer = () => {}
  const reached = throughput()
  await drained()
  return { ...reached, codes: phase.codes }
}

/** Calls whether answers come or not. @param {number} perCpuSecond */
async function overload(perCpuSecond) {
  phase = newPhase()
  const before = sentAt.length
  let [due, atSeconds, atCpuSeconds] = [0, 0, phase.cpuAtStart]
  while (elapsedSeconds() < overloadSeconds && closed < sockets) {
    const [nowSeconds, nowCpuSeconds] = [elapsedSeconds(), serverCpuSeconds()]
    due += perCpuSecond * Math.max(nowCpuSeconds - atCpuSeconds, (nowSeconds - atSeconds) * leastShare)
    ;[atSeconds, atCpuSeconds] = [nowSeconds, nowCpuSeconds]
    send(Math.floor(due) - (sentAt.length - before))
    await pause(2)
  }
  const reached = throughput()
  const endedAt = performance.now()
  await drained()
  return {
    ...reached,
    sent: sentAt.length - before,
    codes: phase.codes,
    admittedP99Ms: phase.admitted.percentile(99) / 1_000,
    overloadedP99Ms: phase.overloaded.percentile(99) / 1_000,
    drainedMs: performance.now() - endedAt,
  }
}

/**
 * What one call on each socket is answered with as soon as the last answer to the overload is in, and one more after
 * that.
 */
async function afterOverload() {
  phase = newPhase()
  const [first, second] = [phase, newPhase()]
  send(sockets)
  await drained()
  phase = second
  send(sockets)
  await drained()
  return [first.codes, second.codes]
}

const warmUp = await calm()
const reports = []
for (let round = 0; round < rounds && waiting === 0; round++) {
  const before = await calm()
  const during = await overload(before.admittedPerCpuSecond * factor)
  reports.push({ before, during, afterwards: waiting === 0 ? await afterOverload() : [] })
}
process.stdout.write(
  JSON.stringify({ warmUp, rounds: reports, sent: sentAt.length, unanswered: waiting, repeated, closed }),
)
for (const connection of connections) connection.destroy()
