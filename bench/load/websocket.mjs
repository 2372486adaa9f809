import { once } from 'node:events'
import WebSocket from 'ws'

/** Up to four sockets that the callers share, as in a gateway. They speak graphql-transport-ws without a library. */
export async function webSocketClients({ url, token, callers }) {
  const sockets = await Promise.all(Array.from({ length: Math.min(callers, 4) }, () => open(url, token)))
  return Array.from({ length: callers }, (_, caller) => sockets[caller % sockets.length])
}

async function open(url, token) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', {
    perMessageDeflate: false,
  })
  await once(socket, 'open')
  socket.send(
    JSON.stringify({ type: 'connection_init', payload: token ? { authorization: `Bearer ${token}` } : {} }),
  )
  await once(socket, 'message')
  const waiting = new Map()
  let ids = 0
  socket.on('message', (data) => {
    const text = data.toString('latin1')
    if (text.includes('"type":"complete"')) return
    const id = /"id":"(\d+)"/.exec(text)?.[1]
    const resolve = waiting.get(id)
    waiting.delete(id)
    resolve?.(text)
  })
  return {
    /** `payload` is text in JSON. */
    send: (payload) =>
      new Promise((resolve) => {
        const id = String(++ids)
        waiting.set(id, resolve)
        socket.send(`{"id":"${id}","type":"subscribe","payload":${payload}}`)
      }),
    // With a handshake: graphql-ws prints an error for every message that it can no longer send.
    close: () => socket.close(),
  }
}
