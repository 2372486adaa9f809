import type { Socket } from 'node:net'
import type { GraphQLSchema } from 'graphql'
import { createAuthenticator } from './auth/authenticator.ts'
import { type Clock, elapsedMs } from './clock.ts'
import type { Config } from './config.ts'
import type { Principal } from './domain/principal.ts'
import { GraphQLEngine } from './graphql/engine.ts'
import { createErrorMask } from './graphql/mask-error.ts'
import type { OperationLogLevel } from './graphql/operation-log.ts'
import { GraphQLOverHttp } from './graphql/over-http.ts'
import { GraphQLOverWebSocket } from './graphql/over-websocket/server.ts'
import { createCors } from './http/cors.ts'
import { Readiness, serveHealth } from './http/health.ts'
import { HttpServer, type Route } from './http/server.ts'
import { UnsentBytes } from './http/unsent.ts'
import { fixedLimits } from './limits.ts'
import type { Logger } from './log.ts'
import { Admission, ownerOf } from './overload/admission.ts'
import { ConnectionQuota } from './overload/connection-quota.ts'
import { Turns } from './overload/turns.ts'
import { clientAreaRoutes } from './pages/client-area.ts'
import { createGraphiQL, type Explorer } from './pages/graphiql.ts'
import { createContext } from './schema/context.ts'
import { schema as latchkeySchema } from './schema/index.ts'
import type { Services } from './services.ts'
import type { Database } from './storage/database.ts'
import { queryUntil } from './storage/query-until.ts'
import { isUnavailable } from './storage/unavailable.ts'

export interface TransportOptions {
  config: Config
  log: Logger
  clock: Clock
  database: Database
  services: Services
  /** Reads what GraphiQL is filled in with. Left out: placeholders. */
  explorer?: (() => Promise<Explorer>) | undefined
  /** Makes a token for the client area. Left out: only its host hands it one. */
  demoToken?: (() => Promise<string>) | undefined
  /** Where the built client area is. Left out: where the build puts it. */
  clientAreaDirectory?: string | undefined
  /** A schema in place of Latchkey's own. The bench adds an operation that does nothing. */
  schema?: GraphQLSchema | undefined
}

export interface Transports {
  /** Where the server listens: `http://host:port`. */
  url: string
  /** `/ready` answers 503 from now on, while everything else goes on. */
  announceStop(): void
  /** Stops accepting, answers what was accepted, and closes everything within this time. */
  stop(withinMs: number): Promise<void>
}

/** The share of the time to stop in that answering may take. The rest is for closing connections and the database. */
const answeringShare = 0.8

/** Puts the transports together and listens. @throws Node's EADDRINUSE */
export async function startTransports(options: TransportOptions): Promise<Transports> {
  const { config, log, clock, services, explorer, schema = latchkeySchema } = options
  const { limits } = config
  const authenticator = createAuthenticator(config.auth, clock)
  const errorMask = createErrorMask({ log, isUnavailable })
  const shareOf = (principal: Principal | null) => services.fairShare.of(ownerOf(principal))
  const engine = new GraphQLEngine({
    schema,
    shareOf,
    createContext: (principal, onlyMeters) =>
      createContext(services, principal, shareOf(principal), onlyMeters),
    errorMask,
    explorable: config.graphiql,
  })
  const admission = new Admission({
    meter: services.meter,
    maxOperations: limits.waitingQueries,
  })
  const connectionQuota = new ConnectionQuota(limits.webSocketsPerAccount)
  const cors = createCors(corsOriginsOf(config))
  const unsent = new UnsentBytes(limits)
  const turns = new Turns<Socket>(fixedLimits.requestsPerTurn)
  const operationLogLevel: OperationLogLevel = config.production ? 'info' : 'debug'
  const shared = {
    ...{ engine, authenticator, errorMask, admission, connectionQuota, cors },
    ...{ clock, limits, log, operationLogLevel, unsent },
  }
  const overHttp = new GraphQLOverHttp({
    ...shared,
    turns,
    explorer: config.graphiql ? createGraphiQL(explorer) : undefined,
  })
  const overWebSocket = new GraphQLOverWebSocket(shared)
  const readiness = new Readiness({ check: readinessCheck(options, authenticator), log, elapsed: elapsedMs })

  const http = new HttpServer({
    routes: [
      { path: '/graphql', serve: overHttp.serve },
      ...[
        { path: '/health', serve: serveHealth },
        { path: '/ready', serve: readiness.serve },
        ...(config.clientArea ? await clientAreaRoutes(clientAreaOptionsOf(options)) : []),
      ].map((route) => inTurn(route, turns)),
    ],
    cors,
    log,
    limits,
    unsent,
  })
  http.onWebSocket((request, socket, head) => overWebSocket.accept(request, socket, head))
  const port = await http.listen(config.host, config.port)
  const host = config.host.includes(':') ? `[${config.host}]` : config.host

  return {
    url: `http://${host}:${port}`,
    announceStop: () => readiness.announceStop(),
    async stop(withinMs) {
      const answerMs = withinMs * answeringShare
      readiness.announceStop()
      const stopped = http.stop(answerMs)
      overHttp.endStreams()
      await Promise.all([stopped, overWebSocket.stop(answerMs, (withinMs - answerMs) / 2)])
    },
  }
}

/** Serves a route in turns. GraphQL takes its own, once it has read a body. */
function inTurn(route: Route, turns: Turns<Socket>): Route {
  return {
    ...route,
    async serve(request, response, path) {
      await turns.take(request.socket)
      if (!response.destroyed) await route.serve(request, response, path)
    },
  }
}

/** Pages of the listed origins, and of the one that embeds the client area. Undefined: any. */
function corsOriginsOf({ corsOrigins, clientAreaOrigin }: Config): readonly string[] | undefined {
  return corsOrigins && [...corsOrigins, ...(clientAreaOrigin ? [clientAreaOrigin] : [])]
}

function clientAreaOptionsOf({ config, clientAreaDirectory, demoToken }: TransportOptions) {
  return { directory: clientAreaDirectory, hostOrigin: config.clientAreaOrigin, demoToken }
}

/** Readiness requires the metering pool and verified tokens. The general pool may be exhausted. */
function readinessCheck(
  { config, database }: TransportOptions,
  authenticator: { checkReady(): Promise<void> },
): () => Promise<unknown> {
  const ping = { text: 'select 1' }
  return () =>
    Promise.all([
      queryUntil(database.meteringPool, AbortSignal.timeout(config.meterTimeoutMs), ping),
      authenticator.checkReady(),
    ])
}
