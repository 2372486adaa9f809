import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { InvalidInputError } from '../errors.ts'
import { fixedLimits, type Limits } from '../limits.ts'
import type { Logger } from '../log.ts'
import { Connections } from './connections.ts'
import type { Cors } from './cors.ts'
import { refuseMalformedRequest } from './malformed-request.ts'
import { targetOf } from './request-target.ts'
import { sendProblem, sendRefusal } from './respond.ts'
import type { UnsentBytes } from './unsent.ts'
import { ignoreUpgrade } from './upgrade.ts'

/** What answers the requests for one path. */
export interface Route {
  /** Exact, or everything below a folder: `/assets/*`. */
  path: string
  serve(request: IncomingMessage, response: ServerResponse, path: string): void | Promise<void>
  /** Pages bring headers of their own for browsers, and are not for scripts of other sites. */
  isPage?: boolean
}

export interface HttpOptions {
  routes: readonly Route[]
  cors: Cors
  log: Logger
  limits: Pick<
    Limits,
    'connections' | 'requests' | 'headerBytes' | 'headersMs' | 'requestMs' | 'idleMs' | 'writeMs'
  >
  unsent: UnsentBytes
}

/** When the server stops: how long a new connection may take to send its first request. */
const firstRequestMs = 100

/** Keeps browsers from rendering what is not a page. Pages replace the policy with one of their own. */
const headersForBrowsers = Object.entries({
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
})

const unreadableTarget = new InvalidInputError([
  { path: [], message: 'The address of the request, or its Host header, is not valid.' },
])

/** node:http with limits, CORS and a route table. Knows nothing of GraphQL. */
export class HttpServer {
  readonly server: Server
  readonly connections: Connections
  readonly #options: HttpOptions
  readonly #exact = new Map<string, Route>()
  readonly #folders: Route[]
  #stopping = false

  constructor(options: HttpOptions) {
    this.#options = options
    const { routes, limits } = options
    this.connections = new Connections(limits.requests)
    this.#folders = routes.filter(({ path }) => path.endsWith('/*'))
    for (const route of routes) this.#exact.set(route.path, route)
    this.server = createServer(
      {
        maxHeaderSize: limits.headerBytes,
        headersTimeout: Math.min(limits.headersMs, limits.requestMs),
        requestTimeout: limits.requestMs,
        keepAliveTimeout: limits.idleMs,
        connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
      },
      (request, response) => this.#serve(request, response),
    )
    this.server.maxConnections = limits.connections
    this.server.on('clientError', refuseMalformedRequest)
    // The time runs while nothing is sent or received. A request in flight may take as long as it needs.
    this.server.setTimeout(limits.writeMs, (socket) => {
      if (socket.writableLength > 0 || !this.connections.isBusy(socket)) socket.destroy()
    })
    // An unknown expectation may be ignored (RFC 9110, 10.1.1). Node.js would refuse it in a format of its own.
    this.server.on('checkExpectation', (request, response) => this.#serve(request, response))
    this.server.on('connection', (socket) => this.connections.add(socket))
  }

  /** Listens, and resolves to the port. Rejects where the port is in use. */
  async listen(host: string, port: number): Promise<number> {
    this.server.listen({ port, host, backlog: fixedLimits.pendingConnections })
    await once(this.server, 'listening')
    const address = this.server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  /** Calls `accept` for WebSocket handshakes. Offers of other protocols are ignored. */
  onWebSocket(accept: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): void {
    this.server.on('upgrade', (request, socket, head) => {
      // Responses that are still due on this connection would be mixed up with the frames of the new protocol.
      if (this.connections.isBusy(socket)) return socket.destroy()
      if (request.headers.upgrade?.toLowerCase() === 'websocket') accept(request, socket, head)
      else ignoreUpgrade(this.server, request, socket, head)
    })
  }

  /**
   * Stops accepting connections, answers the requests in flight, and resolves when every connection is closed. Clients
   * that have not finished sending a request or reading a response within `withinMs` are disconnected.
   */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.server.closeIdleConnections()
    // The first request of a new connection may have arrived and not been read yet.
    const closeUnused = setTimeout(() => this.connections.closeUnused(), firstRequestMs)
    const disconnect = setTimeout(() => this.server.closeAllConnections(), withinMs)
    await closed
    clearTimeout(closeUnused)
    clearTimeout(disconnect)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    // What a connection had sent before it was closed is still parsed.
    if (request.socket.destroyed) return
    this.connections.begin(response)
    this.#options.unsent.add(response)
    response.once('close', () => {
      if (this.#stopping) this.server.closeIdleConnections()
    })
    const target = targetOf(request)
    if (!target) return void sendRefusal(response, unreadableTarget)
    const { pathname, search } = target
    // Everything further on sees the target without a host: requests of proxies may name one.
    request.url = pathname + search
    const route = this.#routeOf(pathname)
    if (mayComeFromBrowser(request)) {
      for (const [name, value] of headersForBrowsers) response.setHeader(name, value)
      if (!route?.isPage && this.#options.cors.apply(request, response)) return
    }
    if (!route) return void sendProblem(response, 404, 'There is nothing here. GraphQL is at /graphql.')
    void this.#answer(route, request, response, pathname)
  }

  async #answer(route: Route, request: IncomingMessage, response: ServerResponse, path: string) {
    try {
      await route.serve(request, response, path)
    } catch (err) {
      this.#options.log.error({ err, path: route.path }, 'a request failed')
      if (response.headersSent) response.destroy()
      else sendProblem(response, 500, 'Something went wrong on the server. It has been logged.')
    }
  }

  #routeOf(pathname: string): Route | undefined {
    return (
      this.#exact.get(pathname) ?? this.#folders.find(({ path }) => pathname.startsWith(path.slice(0, -1)))
    )
  }
}

/** False for a POST without an origin, which no browser sends, so that responses to gateways omit the headers. */
function mayComeFromBrowser({ method, headers }: IncomingMessage): boolean {
  return method !== 'POST' || headers.origin !== undefined
}
