import { connect } from 'node:net'
import { delay } from '../load/stats.mjs'

// What attackers need of HTTP and WebSocket, written to TCP by hand: clients of libraries are too well-behaved.

const authorizationOf = (token) => (token ? { Authorization: `Bearer ${token}` } : {})

export function get(path, headers = {}) {
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines({ Host: 'x', ...headers })}\r\n`, 'latin1')
}

/** A POST of a GraphQL request to /graphql. */
export function post(body, { token, ...headers } = {}) {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return Buffer.concat([postHead(bytes.length, { ...authorizationOf(token), ...headers }), bytes])
}

/** The head of a POST whose body of this length comes later, or never. */
export function postHead(length, headers = {}) {
  const all = { Host: 'x', 'Content-Type': 'application/json', ...headers, 'Content-Length': length }
  return Buffer.from(`POST /graphql HTTP/1.1\r\n${lines(all)}\r\n`, 'latin1')
}

const lines = (headers) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

export const handshake = get('/graphql', {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': 13,
  'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Protocol': 'graphql-transport-ws',
})

/** A WebSocket frame, masked with zeros. `length`: what its header states, where that is not what it has. */
export function frame(payload, { opcode = 1, fin = true, length } = {}) {
  const bytes = Buffer.from(payload)
  const stated = length ?? bytes.length
  const extended = stated < 126 ? 0 : stated < 65_536 ? 2 : 8
  const header = Buffer.alloc(2 + extended + 4)
  header[0] = (fin ? 0x80 : 0) | opcode
  header[1] = 0x80 | (extended === 0 ? stated : extended === 2 ? 126 : 127)
  if (extended === 2) header.writeUInt16BE(stated, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(stated), 2)
  return Buffer.concat([header, bytes])
}

export const initFrame = (token) =>
  frame(
    JSON.stringify({ type: 'connection_init', payload: token ? { authorization: `Bearer ${token}` } : {} }),
  )

export const subscribeFrame = (id, payload) =>
  frame(JSON.stringify({ id: String(id), type: 'subscribe', payload }))

const pong = frame('', { opcode: 10 })

/**
 * An attacker opens this many connections a second. The operating system queues new connections in their order, so that
 * with many more, nobody gets one in time, whatever a server does. Limiting that is up to the proxy in front.
 */
const connectionsPerSecond = 500

/** One attack, from the attacker's side: when it ends, and what it has done. */
export class Attack {
  connections = 0
  sent = 0
  received = 0
  answers = {}
  #durationMs
  #isConnecting = false
  #endsAtMs
  #nextConnectionAtMs = performance.now()

  constructor(target, seconds) {
    this.target = target
    this.#durationMs = seconds * 1_000
    this.#endsAtMs = performance.now() + this.#durationMs
  }

  get isOver() {
    return !this.#isConnecting && performance.now() >= this.#endsAtMs
  }

  get leftMs() {
    return Math.max(0, this.#endsAtMs - performance.now())
  }

  note(answer) {
    this.answers[answer] = (this.answers[answer] ?? 0) + 1
  }

  report() {
    const { connections, sent, received, answers } = this
    return { connections, sent, received, answers }
  }

  /**
   * Keeps `count` connections open until the attack ends, and replaces those that the server closes. `use` is called
   * with each. Answers are counted by their status, unless `reads` is false: then nothing is read.
   */
  async keepOpen(count, use, { reads = true, allowHalfOpen = false } = {}) {
    this.#isConnecting ||= this.connections === 0
    const one = async () => {
      while (!this.isOver) {
        await this.#waitToConnect()
        if (!this.isOver) await this.#connection(use, { reads, allowHalfOpen })
      }
    }
    await Promise.all(Array.from({ length: count }, one))
  }

  /** The time runs from the first connection on: making the requests, and connecting, may take a while. */
  #begin() {
    this.#isConnecting = false
    this.#endsAtMs = performance.now() + this.#durationMs
  }

  async #waitToConnect() {
    const now = performance.now()
    this.#nextConnectionAtMs = Math.max(this.#nextConnectionAtMs, now) + 1_000 / connectionsPerSecond
    await delay(Math.min(this.#nextConnectionAtMs - now, this.#durationMs))
  }

  async #connection(use, { reads, allowHalfOpen }) {
    const { host, port } = this.target
    const socket = connect({ host, port, allowHalfOpen, noDelay: true })
    let end
    const closed = new Promise((resolve) => {
      end = resolve
    })
    socket.once('close', end)
    socket.on('error', (error) => this.note(error.code))
    let timer
    socket.once('connect', () => {
      if (this.connections++ === 0) this.#begin()
      timer = setTimeout(() => socket.destroy(), this.leftMs)
      if (reads) socket.on('data', (data) => this.#read(data))
      Promise.resolve(use(socket)).catch((error) => this.note(error.message))
    })
    await closed
    clearTimeout(timer)
  }

  #read(data) {
    this.received += data.length
    for (const [, status] of data.toString('latin1').matchAll(/HTTP\/1\.1 (\d{3})/g))
      if (status !== '101') this.note(status)
  }

  /** Sends, and resolves when the connection takes more, or is closed. */
  async send(socket, bytes) {
    if (socket.destroyed) return
    this.sent++
    if (!socket.write(bytes)) await either(socket, 'drain')
  }

  /** Sends what `next` returns, without waiting for answers, as fast as the server reads. */
  async stream(socket, next) {
    while (!this.isOver && !socket.destroyed) {
      await this.send(socket, next())
      if (this.sent % 64 === 0) await new Promise(setImmediate)
    }
  }

  /** Sends one request after the other, each once there is an answer to the one before. */
  async converse(socket, next) {
    while (!this.isOver && !socket.destroyed) {
      await this.send(socket, next())
      await either(socket, 'data')
    }
  }

  /** Keeps `count` WebSockets open, acknowledged with this token. `use` is called with each. */
  async keepWebSockets(count, token, use, { reads = true } = {}) {
    const greet = async (socket) => {
      socket.write(Buffer.concat([handshake, initFrame(token)]))
      if (!(await this.#acknowledged(socket))) return
      if (!reads) socket.removeAllListeners('data').pause()
      else socket.on('data', (data) => isPing(data) && socket.write(pong))
      await use(socket)
    }
    await this.keepOpen(count, greet)
  }

  async #acknowledged(socket) {
    let text = ''
    return await new Promise((resolve) => {
      const note = (data) => {
        text += data.toString('latin1')
        if (text.includes('connection_ack')) resolve(true)
      }
      socket.on('data', note)
      socket.once('close', () => resolve(false))
    })
  }
}

/** Resolves on this event, or when the connection is closed. */
function either(socket, event) {
  return new Promise((resolve) => {
    const happened = () => {
      socket.off(event, happened)
      socket.off('close', happened)
      resolve()
    }
    socket.on(event, happened)
    socket.on('close', happened)
  })
}

/** A ping of the server comes in a chunk of its own, or at the start of one, often enough. */
const isPing = (data) => data[0] === 0x89
