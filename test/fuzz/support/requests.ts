import fc from 'fast-check'
import { anyText, mutated } from './values.ts'

const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('GET', 'POST', 'OPTIONS', 'HEAD') },
  { weight: 1, arbitrary: fc.constantFrom('PUT', 'CONNECT', 'PRI', 'get', '') },
)
const target = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('/graphql', '/graphql?query=%7B__typename%7D', '/health', '/ready', '/keys'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('/', '*', '//x', 'http://[::1/', 'http://a.b/health', '/%', '/keys/../x'),
  },
  { weight: 1, arbitrary: anyText },
)
const version = fc.oneof(
  { weight: 9, arbitrary: fc.constant('HTTP/1.1') },
  { weight: 1, arbitrary: fc.constantFrom('HTTP/1.0', 'HTTP/2', 'HTTP/1.1 x', '') },
)
const header = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.constantFrom(
      ...[
        'Content-Type: application/json',
        'Content-Type: text/plain;charset=x',
        'Content-Type: multipart/form-data',
      ],
      ...[
        'Accept: */*',
        'Accept: text/event-stream',
        'Accept: application/graphql-response+json',
        'Accept: ;q=,',
      ],
      ...[
        'Accept-Encoding: gzip, br;q=0, *',
        'Expect: 100-continue',
        'Expect: x',
        'Origin: null',
        'Cookie: a',
      ],
      ...[
        'Upgrade: websocket',
        'Upgrade: h2c',
        'Connection: upgrade',
        'Connection: close',
        'Range: bytes=0-1',
      ],
      ...[
        'Sec-WebSocket-Key: x',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Protocol: graphql-transport-ws',
      ],
      ...['Authorization: Bearer', 'Access-Control-Request-Method: POST', 'If-None-Match: *'],
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'Host: b',
      'Content-Length: 999',
      'Transfer-Encoding: chunked',
      ' x',
      'a\0: b',
    ),
  },
)
const body = fc.constantFrom(
  ...[
    '',
    '',
    '{"query":"{ __typename }"}',
    '{"query":"{ viewer { subject } }"}',
    '{',
    '[]',
    'null',
    '\xff\xfe',
  ],
)

const request = fc
  .tuple(method, target, version, fc.array(header, { maxLength: 5 }), body)
  .map(([verb, path, protocol, headers, content]) => {
    const length = content === '' ? [] : [`Content-Length: ${content.length}`]
    return `${[`${verb} ${path} ${protocol}`, 'Host: localhost', ...length, ...headers].join('\r\n')}\r\n\r\n${content}`
  })

/** What a client may send on a connection: requests, some of them with a few bytes changed, or anything. */
export const anyBytes: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: request },
  { weight: 3, arbitrary: request.chain(mutated) },
  { weight: 2, arbitrary: fc.array(request, { maxLength: 3 }).map((requests) => requests.join('')) },
  { weight: 1, arbitrary: anyText },
)
