import type { EventEmitter } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { sendOperation } from '../support/app.ts'
import { expectNothingInternal } from '../support/http.ts'
import { MeterApiCall } from '../support/operations.ts'
import { Random } from '../support/random.ts'
import { hostileBytes, hostileFrame, hostileMessage, hostileRequest } from './support/overload-hostile.ts'
import { type Holdings, LoadedServer, type MeteredAccount } from './support/overload-server.ts'

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
const connections = 50
const warmUpMs = 3_000
const runMs = 8_000
/** A slow machine gets up to this long for `enoughAnswers`. */
const mostMs = 25_000
const enoughAnswers = 500
/** How long a client waits for an answer, which may never come. */
const silenceMs = 1_000

/** The codes that the server may close a WebSocket with when a client does everything wrong. */
const rightCodes = [1000, 1002, 1005, 1006, 1007, 1009, 1013, 4400, 4401, 4403, 4408, 4409, 4429]

async function closed(socket: Socket | WebSocket): Promise<void> {
  if (socket instanceof WebSocket ? socket.readyState === socket.CLOSED : socket.closed) return
  await new Promise((resolve) => (socket as EventEmitter).once('close', resolve))
}

/** Resolves when the event has happened, or the socket is closed. */
async function firstOf(socket: Socket | WebSocket, event: string): Promise<void> {
  await Promise.race([
    new Promise((resolve) => (socket as EventEmitter).once(event, resolve)),
    closed(socket),
  ])
}

describe(`clients that send nonsense (FUZZ_SEED=${seed})`, () => {
  let server: LoadedServer
  let accounts: MeteredAccount[]
  let hostile: MeteredAccount
  let before: Holdings
  const answers = new Set<string>()
  const statuses = new Set<string | undefined>()
  const closeCodes = new Set<number>()
  const decisions = new Map<string, number>()
  let [sent, answered] = [0, 0]

  beforeAll(async () => {
    server = await LoadedServer.start()
    const [first, ...others] = await server.createAccounts(5)
    hostile = first as MeteredAccount
    accounts = others
    // Fills the caches, so that they do not count as a leak.
    await attack(warmUpMs, new Random(seed + 1))
    before = await atRest()
    await attack(runMs, new Random(seed))
  }, 60_000)
  afterAll(async () => {
    await server.stop()
  })

  async function attack(ms: number, random: Random): Promise<void> {
    const startedAt = performance.now()
    const goesOn = () => {
      const wasMs = performance.now() - startedAt
      return wasMs < ms || (ms === runMs && wasMs < mostMs && answered < enoughAnswers)
    }
    const clients = Array.from({ length: connections }, async (_, index) => {
      const own = new Random(random.int(0, 2 ** 31))
      const act = [overHttp, overWebSocket, overFrames][index % 3] as typeof overHttp
      while (goesOn()) await act(own)
    })
    const gateways = Array.from({ length: 4 }, async (_, index) => {
      const { secret } = accounts[index] as MeteredAccount
      while (goesOn()) await meter(secret)
    })
    await Promise.all([...clients, ...gateways])
  }

  async function meter(secret: string): Promise<void> {
    const variables = { secret, apiCall: 'v3.ping' }
    const { data, errors } = await sendOperation(server.url, MeterApiCall, {
      as: server.gatewayToken,
      variables,
    }).catch((cause) => {
      throw new Error(`The server does not answer. It has printed:\n${server.output().slice(-5_000)}`, {
        cause,
      })
    })
    const code = data?.meterApiCall.code ?? errors?.[0]?.extensions.code ?? 'none'
    decisions.set(code, (decisions.get(code) ?? 0) + 1)
  }

  function tcp(): Socket {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    // The server may be waiting for the rest of what was sent.
    socket.setTimeout(silenceMs, () => socket.destroy())
    socket.on('data', (data) => note(String(data)))
    return socket
  }

  function note(text: string): void {
    answered++
    // Answers of the same kind are examined once.
    for (const [, status] of text.matchAll(/^HTTP\/1\.1 (\d+)/gm)) statuses.add(status)
    answers.add(text.slice(0, 20_000).replace(/[0-9]+|[A-Za-z0-9_-]{20,}/g, '0'))
  }

  /** A few requests at once, then a half-closed or a closed connection. */
  async function overHttp(random: Random): Promise<void> {
    const socket = tcp()
    for (let requests = random.int(1, 4); requests > 0; requests--) {
      const token = random.chance(0.9) ? hostile.token : server.gatewayToken
      socket.write(hostileRequest(random, token))
      sent++
    }
    await firstOf(socket, 'data')
    if (random.chance(0.5)) socket.end()
    else socket.destroy()
    await closed(socket)
  }

  /** Messages that resemble those of graphql-transport-ws. */
  async function overWebSocket(random: Random): Promise<void> {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
    socket.on('error', () => {})
    socket.on('message', (data) => note(String(data)))
    socket.on('close', (code) => closeCodes.add(code))
    await firstOf(socket, 'open')
    const token = random.chance(0.9) ? hostile.token : server.gatewayToken
    const payload = { authorization: `Bearer ${random.chance(0.95) ? token : 'x.y.z'}` }
    if (random.chance(0.95)) socket.send(JSON.stringify({ type: 'connection_init', payload }))
    await firstOf(socket, 'message')
    for (let messages = random.int(1, 60); messages > 0 && socket.readyState === socket.OPEN; messages--) {
      socket.send(hostileMessage(random))
      sent++
    }
    if (socket.readyState === socket.OPEN) {
      socket.ping()
      await firstOf(socket, 'pong')
    }
    if (random.chance(0.5)) socket.close()
    else socket.terminate()
    await closed(socket)
  }

  /** Frames that break the rules of WebSocket, and random bytes. */
  async function overFrames(random: Random): Promise<void> {
    const socket = tcp()
    if (random.chance(0.8)) {
      socket.write(
        'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
          'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
      )
      await firstOf(socket, 'data')
    }
    for (let frames = random.int(1, 5); frames > 0; frames--) {
      socket.write(random.chance(0.8) ? hostileFrame(random) : hostileBytes(random))
      sent++
    }
    await firstOf(socket, 'data')
    socket.destroy()
    await closed(socket)
  }

  /** What the server still holds when every client is gone. */
  async function atRest(): Promise<Holdings> {
    let holdings = await server.holdings()
    for (let next = await server.holdings(); next.sockets < holdings.sockets; holdings = next)
      next = await server.holdings()
    return holdings
  }

  it('are answered, and the server keeps serving', async () => {
    expect(sent).toBeGreaterThan(enoughAnswers / 2)
    expect(answered).toBeGreaterThan(enoughAnswers / 2)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect((await fetch(`${server.url}/ready`)).status).toBe(200)
  })

  it('cause no internal error and no unexpected status or close code', () => {
    expect(server.output()).not.toMatch(/"level":[56]0/)
    for (const answer of answers)
      expect(answer).not.toMatch(/INTERNAL_SERVER_ERROR|HTTP\/[0.]+ 0 Internal Server Error/)
    expect(statuses).toContain('400')
    expect(statuses).not.toContain('500')
    expect([...closeCodes].filter((code) => !rightCodes.includes(code))).toEqual([])
  })

  it('learn nothing internal', () => {
    expect(answers.size).toBeGreaterThan(20)
    for (const answer of answers) {
      expectNothingInternal(answer)
      // GraphQL asks for a selection in these words, and names only what the client has sent.
      expect(answer.replace(/Did you mean \\"\w+ \{ \.\.\. \}/g, '')).not.toContain('Did you mean')
    }
  })

  it('change no count: exactly the calls that were admitted are stored', async () => {
    expect([...decisions.keys()]).toEqual(['ADMITTED'])
    expect(await server.storedCalls(accounts)).toBe(decisions.get('ADMITTED'))
  })

  it('leave no sockets, timers or memory behind', async () => {
    await expect
      .poll(async () => (await atRest()).sockets, { timeout: 10_000 })
      .toBeLessThanOrEqual(before.sockets + 2)
    const after = await atRest()
    expect(after.timers).toBeLessThanOrEqual(before.timers + 5)
    expect((after.heapUsed - before.heapUsed) / 1e6).toBeLessThan(40)
  })
})
