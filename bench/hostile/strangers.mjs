import { randomBytes } from 'node:crypto'
import { delay } from '../load/stats.mjs'
import { frame, get, handshake, post, postHead } from './wire.mjs'

const graphiql = { GRAPHIQL: 'on' }
const clientArea = { CLIENT_AREA: 'on', CLIENT_AREA_ORIGIN: 'https://app.example' }
const megabyte = 1_048_576
const jwt = (header) =>
  [header, { sub: 'stranger', exp: 4_000_000_000 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')

/** The name that an operation's log line would contain: it looks like the start of many tokens. */
export const longName = { query: `query ${'eyJ'.repeat(131_072)} { __typename }` }
const meterOne = 'mutation ($input: MeterApiCallInput!) { meterApiCall(input: $input) { code } }'
const meterMany =
  'mutation ($input: MeterApiCallsInput!) { meterApiCalls(input: $input) { decisions { code } } }'
const addApiKey = 'mutation ($input: AddApiKeyInput!) { addApiKey(input: $input) { __typename } }'
export const echoed = { query: meterOne, variables: { input: ' Did you mean '.repeat(11_500) } }
const emptyInputs = { query: meterMany, variables: { input: { calls: new Array(300_000).fill({}) } } }
const unknownFields = {
  query: addApiKey,
  variables: { input: Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`field${i}`, 1])) },
}
export const badVariables = [emptyInputs, unknownFields]

/** 43 KB of tokens, and as many tokens as may be parsed, compared with each other. */
const documents = [
  `{ ${Array.from({ length: 3_000 }, (_, i) => `f${i}:__typename`).join(' ')} }`,
  `{ ${'__typename '.repeat(990)} }`,
  `{ ${'...F '.repeat(240)} } ${Array.from({ length: 80 }, (_, i) => `fragment F${i || ''} on Query { ...F${i + 1} }`).join(' ')}`,
]

/** Takes turns between these requests, on each connection from the start. */
function inTurn(requests) {
  let next = 0
  return () => requests[next++ % requests.length]
}

/** A loop on each of `connections`, one request at a time. */
const conversation = (connections, makeRequests) => async (attack) => {
  const requests = makeRequests(attack)
  await attack.keepOpen(connections, (socket) => attack.converse(socket, inTurn(requests)))
}

/** A script of the client area, the largest file that the server has. */
async function largestFile({ url }) {
  const page = await (await fetch(url)).text()
  return /src="([^"]+\.js)"/.exec(page)?.[1] ?? '/client-area/latchkey-keys.js'
}

async function paddedTokens(attack) {
  const { token } = attack.target
  let number = 0
  const padded = (most) => `Bearer ${' '.repeat(number++ % most)}${token}`
  const overHttp = attack.keepOpen(16, (socket) =>
    attack.converse(socket, () => post({ query: '{__typename}' }, { Authorization: padded(14_000) })),
  )
  const init = (authorization) =>
    frame(JSON.stringify({ type: 'connection_init', payload: { authorization } }))
  const overWebSocket = (count, most) =>
    attack.keepOpen(count, async (socket) => {
      await attack.send(socket, handshake)
      await attack.send(socket, init(padded(most)))
    })
  await Promise.all([overHttp, overWebSocket(32, 15_000), overWebSocket(8, megabyte - 2_000)])
}

async function largeInits(attack) {
  const message = JSON.stringify({ type: 'connection_init', payload: { x: 'x'.repeat(megabyte - 100) } })
  const init = Buffer.concat([handshake, frame(message)])
  await attack.keepOpen(attack.target.sockets, (socket) => attack.send(socket, init))
}

/** As much as a stranger may send without the server closing the connection. */
async function unfinishedInits(attack) {
  const init = Buffer.concat([handshake, frame('x'.repeat(16_000), { length: 16_300 })])
  await attack.keepOpen(attack.target.sockets, (socket) => attack.send(socket, init))
}

export const heldBodies = (makeHeaders) => async (attack) => {
  const body = Buffer.alloc(megabyte - 1, 'x')
  const head = postHead(megabyte, makeHeaders(attack.target))
  await attack.keepOpen(64, (socket) => attack.send(socket, Buffer.concat([head, body])))
}

async function readiness(attack) {
  const requests = Buffer.concat(new Array(4).fill(get('/ready')))
  await attack.keepOpen(20, async (socket) => {
    while (!attack.isOver && !socket.destroyed) {
      await attack.send(socket, requests)
      attack.sent += 3
      await delay(10)
    }
  })
}

async function unknownKeys(attack) {
  const request = () => {
    const token = `${jwt({ alg: 'RS256', kid: randomBytes(8).toString('hex') })}.${randomBytes(256).toString('base64url')}`
    return post({ query: '{__typename}' }, { token })
  }
  await attack.keepOpen(32, (socket) => attack.converse(socket, request))
}

/** One byte a second, of headers or of a body. */
async function slowly(attack) {
  const starts = [Buffer.from('POST /graphql HTTP/1.1\r\nHost: x\r\nX: '), postHead(10_000)]
  const next = inTurn(starts)
  await attack.keepOpen(attack.target.sockets, async (socket) => {
    await attack.send(socket, next())
    while (!attack.isOver && !socket.destroyed) {
      await delay(1_000)
      await attack.send(socket, 'x')
    }
  })
}

async function halfOpen(attack) {
  const starts = ['', 'GET /graphql HT', postHead(100), handshake]
  const next = inTurn(starts)
  await attack.keepOpen(
    attack.target.sockets,
    async (socket) => {
      await attack.send(socket, next())
      socket.end()
    },
    { reads: false, allowHalfOpen: true },
  )
}

async function garbage(attack) {
  const clientHello = Buffer.concat([Buffer.from('16030102000100', 'hex'), randomBytes(512)])
  await attack.keepOpen(64, (socket) =>
    attack.send(socket, attack.sent % 2 === 0 ? clientHello : randomBytes(4_096)),
  )
}

/** Fragments of one byte of a message that has no end. */
async function fragments(attack) {
  const more = Buffer.concat(new Array(500).fill(frame('x', { opcode: 0, fin: false })))
  await attack.keepOpen(200, async (socket) => {
    await attack.send(socket, Buffer.concat([handshake, frame('x', { fin: false })]))
    await attack.stream(socket, () => more)
  })
}

const pings = (reads) => async (attack) => {
  const protocol = Buffer.concat(new Array(100).fill(frame('x'.repeat(125), { opcode: 9 })))
  const graphql = Buffer.concat(new Array(100).fill(frame('{"type":"ping","payload":{"x":"xxxxxxxxxxxx"}}')))
  const next = inTurn([protocol, graphql])
  await attack.keepOpen(
    100,
    async (socket) => {
      await attack.send(socket, handshake)
      await attack.stream(socket, next)
    },
    { reads },
  )
}

/** Clients that nobody knows. */
export const strangers = [
  {
    name: 'operation names of 384 KB',
    environment: graphiql,
    run: conversation(8, () => [post(longName)]),
  },
  {
    name: 'variables of 160 KB that an error quotes',
    environment: graphiql,
    run: conversation(8, () => [post(echoed)]),
  },
  {
    name: '300,000 empty inputs, 60,000 unknown fields',
    environment: graphiql,
    run: conversation(8, () => badVariables.map((body) => post(body))),
  },
  {
    name: 'documents of 43 KB, and costly ones of 1,000 tokens',
    environment: graphiql,
    run: conversation(8, () => documents.map((query) => post({ query }))),
  },
  {
    name: 'pipelined requests, answers unread',
    run: async (attack) => {
      const requests = [post({ query: '{__typename}' }), get('/graphql?query={__typename}'), get('/health')]
      const all = Buffer.concat(new Array(30).fill(requests).flat())
      await attack.keepOpen(8, (socket) => attack.stream(socket, () => all), { reads: false })
    },
  },
  {
    name: 'pipelined requests for the largest file, unread',
    environment: clientArea,
    prepare: largestFile,
    run: async (attack, path) => {
      const requests = Buffer.concat(new Array(100).fill(get(path)))
      await attack.keepOpen(64, (socket) => attack.stream(socket, () => requests), { reads: false })
    },
  },
  { name: 'one token, padded with up to 1 MB of spaces', run: paddedTokens },
  { name: 'connection_init of 1 MB on many sockets', run: largeInits },
  { name: 'unfinished connection_init on many sockets', run: unfinishedInits },
  { name: 'bodies of 1 MB held on 64 connections', run: heldBodies(() => ({})) },
  { name: '8,000 /ready a second', run: readiness },
  {
    name: 'Accept and Accept-Encoding of 15 KB of commas',
    environment: clientArea,
    run: conversation(8, () => {
      const commas = ','.repeat(15_000)
      return [
        get('/', { 'Accept-Encoding': commas }),
        get('/', { 'Accept-Encoding': `gzip;q=0${',x;q=0.1'.repeat(1_800)}` }),
        post({ query: '{__typename}' }, { Accept: commas, 'Accept-Encoding': 'x' }),
      ]
    }),
  },
  { name: 'tokens with unknown keys', jwks: true, run: unknownKeys },
  { name: 'headers and bodies, one byte a second', run: slowly },
  { name: 'half-open connections', run: halfOpen },
  { name: 'TLS and random bytes', run: garbage },
  { name: 'WebSocket messages in endless fragments', run: fragments },
  { name: 'pings without end, pongs read', run: pings(true) },
  { name: 'pings without end, pongs unread', run: pings(false) },
]
