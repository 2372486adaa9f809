import { connect } from 'node:net'

export interface RawRequest {
  method?: string
  path?: string
  headers?: Record<string, string>
  /** The body; sent with chunked encoding unless the headers have a content-length. */
  chunks?: string[]
  /** Sent on the same connection afterwards. */
  next?: string
}

/** Sends a request that fetch would correct or refuse to send. Reads until the server closes the connection. */
export async function rawRequest(app: { url: string }, request: RawRequest) {
  const { method = 'POST', path = '/graphql', headers = {}, chunks = [], next = '' } = request
  const { host = 'localhost', ...others } = headers
  const { hostname, port } = new URL(app.url)
  const chunked = chunks.length > 0 && !('content-length' in others)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Content-Type: application/json',
    ...(next ? [] : ['Connection: close']),
    ...(chunked ? ['Transfer-Encoding: chunked'] : []),
    ...Object.entries(others).map(([name, value]) => `${name}: ${value}`),
  ]
  const socket = connect(Number(port), hostname)
  const received = socket.setEncoding('utf8').toArray()
  socket.on('error', () => {})
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  for (const chunk of chunks) socket.write(chunked ? `${chunk.length.toString(16)}\r\n${chunk}\r\n` : chunk)
  if (chunked) socket.write('0\r\n\r\n')
  if (next) socket.write(next)
  const text = (await received).join('')
  const answers = [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
  const [, ...body] = text.split('\r\n\r\n')
  return { status: answers[0], answers, body: body.join('\r\n\r\n') }
}
