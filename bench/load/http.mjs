import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * One keep-alive connection per caller, with one request at a time. Requests are written and responses parsed by hand,
 * because Node's own client is slower than the servers.
 */
export async function httpClients({ url, token, callers, contentType = 'application/json' }) {
  const { hostname, port, pathname } = new URL(url)
  const head =
    `POST ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: ${contentType}\r\n` +
    `accept: application/json\r\n${token ? `authorization: Bearer ${token}\r\n` : ''}content-length: `
  return await Promise.all(Array.from({ length: callers }, () => open(hostname, Number(port), head)))
}

async function open(host, port, head) {
  const socket = connect({ host, port, noDelay: true })
  await once(socket, 'connect')
  let received = ''
  let answer
  socket.setEncoding('latin1')
  socket.on('data', (chunk) => {
    received += chunk
    const body = completeBody(received)
    if (body === undefined) return
    received = ''
    answer.resolve(body)
  })
  socket.on('close', () => answer?.reject(new Error('The server closed the connection.')))
  socket.on('error', (error) => answer?.reject(error))
  return {
    send: (body) =>
      new Promise((resolve, reject) => {
        answer = { resolve, reject }
        socket.write(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`)
      }),
    close: () => {
      answer = undefined
      socket.destroy()
    },
  }
}

/** The body, once it is complete (by content-length or by the last chunk); undefined until then. */
function completeBody(text) {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1]
  if (length === undefined) return text.endsWith('0\r\n\r\n') ? text.slice(end + 4) : undefined
  const body = text.slice(end + 4)
  return body.length >= Number(length) ? body : undefined
}
