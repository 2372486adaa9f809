import type { IncomingMessage } from 'node:http'
import { CloseCode, type Server } from 'graphql-ws'
import type { WebSocket } from 'ws'
import type { Logger } from '../log.ts'

export interface ConnectionOptions<Extra> {
  protocol: Server<Extra>
  socket: WebSocket
  request: IncomingMessage
  extra: Extra
  log: Logger
  /** How often the client is asked whether it is still there; it has as long to answer. */
  keepAliveMs: number
}

/** What may wait to be sent before whoever sends has to wait: a subscription then merges what changes meanwhile. */
const mostBytesWaiting = 65_536

/**
 * Serves graphql-ws's protocol on one WebSocket. What is sent in one turn of the event loop goes to the
 * operating system at once: the answers to a batch of calls, and each with the message that it is complete.
 */
export function serveConnection<Extra>(options: ConnectionOptions<Extra>): void {
  const { protocol, socket, request, extra, log, keepAliveMs } = options
  const send = sender(socket, request)
  const stopPinging = ping(socket, keepAliveMs)
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      send,
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) =>
        socket.on('message', async (data) => {
          try {
            await handle(String(data))
          } catch (err) {
            log.error({ err }, 'a WebSocket message could not be handled')
            socket.close(CloseCode.InternalServerError, 'Internal server error')
          }
        }),
    },
    extra,
  )
  // A client's fault, which ws has closed the connection for.
  socket.on('error', (err) => log.debug({ err }, 'a WebSocket broke'))
  socket.once('close', (code, reason) => {
    stopPinging()
    void closed(code, String(reason))
  })
}

function sender(socket: WebSocket, { socket: connection }: IncomingMessage) {
  let corked = false
  return (data: string): void | Promise<void> => {
    if (socket.readyState !== socket.OPEN) return
    if (!corked) {
      corked = true
      connection.cork()
      setImmediate(() => {
        corked = false
        connection.uncork()
      })
    }
    if (socket.bufferedAmount < mostBytesWaiting) return socket.send(data)
    return new Promise((resolve) => socket.send(data, () => resolve()))
  }
}

/** Cuts a client that has not answered the ping before. Returns what stops it. */
function ping(socket: WebSocket, everyMs: number): () => void {
  let answered = true
  socket.on('pong', () => {
    answered = true
  })
  const timer = setInterval(() => {
    if (!answered) return socket.terminate()
    answered = false
    socket.ping()
  }, everyMs)
  return () => clearInterval(timer)
}
