import type { Random } from '../../support/random.ts'

// What hostile clients send: mostly valid, wrong somewhere. All of it follows from the seed.

const documents = [
  '{ viewer { subject scopes account { name apiKeys(first: 5) { totalCount nodes { id note secret } } } } }',
  'query Page($first: Int, $after: String) { account { apiKeys(first: $first, after: $after) { edges { cursor node { id } } pageInfo { endCursor } } } }',
  'mutation Note($id: ID!, $note: String) { setApiKeyNote(input: { id: $id, note: $note }) { __typename ... on Error { message } } }',
  'mutation Meter($calls: [MeterApiCallInput!]!) { meterApiCalls(input: { calls: $calls }) { decisions { code message } } }',
  'mutation Add($input: AddApiKeyInput!) { addApiKey(input: $input) { __typename ... on InvalidInput { issues { path message } } } }',
  'subscription Live($ids: [ID!]) { liveUsage(apiKeyIds: $ids) { snapshot month apiKeys { apiKeyId calls } } }',
  '{ node(id: "QXBpS2V5OjAx") { id __typename } nodes(ids: ["", "x"]) { id } }',
  'query Usage($month: Month) { account { usage(month: $month) { calls quota } usageHistory(months: 3) { month calls } } }',
  'fragment A on Account { id ...B } fragment B on Account { name } { account { ...A } }',
  '{ __schema { types { name fields { name type { name ofType { name } } } } } }',
]

const signs = [
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  ':',
  '!',
  '$',
  '@',
  '...',
  '|',
  '&',
  '=',
  '"',
  '"""',
  '#',
  '\\',
  ',',
]
const oddTexts = [
  '',
  '\u0000',
  '\ud800',
  '\u202e',
  '🔑',
  '%00',
  "'; select 1 --",
  '__proto__',
  'x'.repeat(5_000),
]
const oddValues: unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  2 ** 53,
  [],
  {},
  [[[[]]]],
  { __proto__: null, constructor: 1 },
  ...oddTexts,
]

/** A document with up to three mistakes. */
export function hostileDocument(random: Random): string {
  let text = random.pick(documents)
  for (let changes = random.int(0, 3); changes > 0; changes--) text = changed(text, random)
  return text
}

function changed(text: string, random: Random): string {
  const at = random.int(0, text.length)
  const to = Math.min(text.length, at + random.int(0, 30))
  switch (random.int(0, 8)) {
    case 0:
      return text.slice(0, at) + text.slice(to)
    case 1:
      return text.slice(0, at) + text.slice(at, to).repeat(random.int(2, 50)) + text.slice(to)
    case 2:
      return text.slice(0, at) + random.pick(signs) + text.slice(at)
    case 3:
      return text.slice(0, at) + random.pick(oddTexts) + text.slice(at)
    case 4:
      return text + hostileDocumentPart(random)
    case 5:
      return `{ ${'account { '.repeat(random.int(1, 6_000))} id }`
    case 6:
      return `{ ${Array.from({ length: random.int(1, 2_000) }, (_, i) => `a${i}: viewer { subject }`).join(' ')} }`
    case 7:
      return text.replace('{', `${' @include(if: true)'.repeat(random.int(1, 200))} {`)
    default:
      return text.slice(0, at)
  }
}

const hostileDocumentPart = (random: Random) =>
  random.pick([
    ' fragment F on Account { ...F }',
    ' { viewer { ...Nobody } }',
    ' query A { viewer { subject } } query A { viewer { subject } }',
    ' extend type Query { x: Int }',
    ` # ${'x'.repeat(10_000)}`,
  ])

/** A payload of GraphQL over HTTP or WebSocket, with members of right and wrong types. */
export function hostilePayload(random: Random): Record<string, unknown> {
  const odd = () => random.pick(oddValues)
  const variables = Object.fromEntries(
    ['first', 'after', 'id', 'note', 'calls', 'input', 'ids', 'month', random.pick(oddTexts)].map((name) => [
      name,
      odd(),
    ]),
  )
  return {
    query: random.chance(0.95) ? hostileDocument(random) : odd(),
    ...(random.chance(0.8) ? { variables: random.chance(0.9) ? variables : odd() } : {}),
    ...(random.chance(0.2) ? { operationName: random.chance(0.5) ? 'Page' : odd() } : {}),
    ...(random.chance(0.1) ? { extensions: odd() } : {}),
    ...(random.chance(0.05) ? { [random.pick(oddTexts)]: odd() } : {}),
  }
}

/** A message that resembles one of graphql-transport-ws. */
export function hostileMessage(random: Random): string | Buffer {
  const id = random.chance(0.9) ? String(random.int(1, 5)) : random.pick(oddValues)
  const type = random.chance(0.95)
    ? random.pick(['subscribe', 'subscribe', 'subscribe', 'complete', 'ping', 'pong'])
    : random.pick(['connection_init', 'connection_ack', 'next', 'error', 'start', ...oddTexts])
  const payload = type === 'subscribe' ? hostilePayload(random) : random.pick(oddValues)
  const text = JSON.stringify({ id, type, payload })
  if (random.chance(0.97)) return text
  return random.chance(0.5) ? text.slice(0, random.int(0, text.length)) : hostileBytes(random)
}

/** A request over HTTP, sometimes malformed or cut off. */
export function hostileRequest(random: Random, token: string): Buffer {
  const body = random.chance(0.9) ? Buffer.from(JSON.stringify(hostilePayload(random))) : hostileBytes(random)
  const declared = random.chance(0.9) ? body.length : body.length + random.int(-20, 20)
  const head = [
    `${random.chance(0.85) ? 'POST' : random.pick(['GET', 'PUT', 'OPTIONS', 'HEAD', 'TRACE', 'PRI', 'x\u0000'])} ${random.chance(0.9) ? '/graphql' : random.pick(['/', '//', '/graphql?query=%', '/graphql?query={', '*', '/../..', `/${'x'.repeat(9_000)}`])} HTTP/${random.chance(0.95) ? '1.1' : random.pick(['1.0', '2.0', '9', ''])}`,
    `Host: ${random.chance(0.95) ? 'x' : random.pick(['', '[', 'a b', 'x:99999', 'a/b', 'a@b', '%00', ...oddTexts])}`,
    `Content-Type: ${random.chance(0.8) ? 'application/json' : random.pick(['text/plain', 'multipart/form-data; boundary=x', 'application/graphql', 'application/x-www-form-urlencoded', '', ';;;'])}`,
    ...(random.chance(0.9)
      ? [
          `Authorization: ${random.chance(0.9) ? `Bearer ${token}` : random.pick(['Bearer', 'Bearer x.y.z', 'Basic eA==', `Bearer ${'a'.repeat(9_000)}`])}`,
        ]
      : []),
    ...(random.chance(0.3)
      ? [
          `Accept: ${random.pick(['*/*', 'text/event-stream', 'text/html', 'application/graphql-response+json', ';q=', 'image/png'])}`,
        ]
      : []),
    ...(random.chance(0.1) ? [`Content-Encoding: ${random.pick(['gzip', 'br', 'x'])}`] : []),
    ...(random.chance(0.05) ? ['Expect: 100-continue'] : []),
    ...(random.chance(0.05) ? ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings'] : []),
    ...(random.chance(0.03) ? [`X-Many: ${'x'.repeat(20_000)}`] : []),
    ...(random.chance(0.03) ? ['No colon'] : []),
    random.chance(0.9) ? `Content-Length: ${Math.max(0, declared)}` : 'Transfer-Encoding: chunked',
  ]
  const request = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body])
  return random.chance(0.95) ? request : request.subarray(0, random.int(0, request.length))
}

/** Random bytes, half of them printable. */
export function hostileBytes(random: Random): Buffer {
  return Buffer.from(
    Array.from({ length: random.int(0, 300) }, () =>
      random.chance(0.5) ? random.int(0, 255) : random.int(32, 126),
    ),
  )
}

/** A WebSocket frame that breaks the rules: unmasked, with a reserved opcode, or of another length than it states. */
export function hostileFrame(random: Random): Buffer {
  const first = random.pick([0x81, 0x80, 0x82, 0x83, 0x8b, 0xf1, 0x89, 0x01, 0x88])
  const second = random.pick([0x05, 0x85, 0xfe, 0xff, 0x7f, 0x80])
  return Buffer.concat([Buffer.from([first, second]), hostileBytes(random)])
}
