// Every limit of the server is declared here, once. What enforces a limit takes it from here by name.

interface LimitSetting {
  /** The environment variable that sets it. */
  setting: string
  least: number
  most: number
  byDefault: number
}

/**
 * The limits that an operator can set. README.md lists the settings. Counts are per server; names that end in `Bytes`
 * and `Ms` say their unit.
 */
export const limitSettings = {
  /** Open TCP connections. Further ones are closed as they arrive. */
  connections: { setting: 'MAX_CONNECTIONS', least: 1, most: 1_000_000, byDefault: 25_000 },
  webSockets: { setting: 'MAX_WEBSOCKETS', least: 1, most: 1_000_000, byDefault: 20_000 },
  /** WebSockets and event streams of one account. */
  webSocketsPerAccount: { setting: 'MAX_WEBSOCKETS_PER_ACCOUNT', least: 1, most: 1_000_000, byDefault: 100 },
  /** Subscriptions on one WebSocket. */
  subscriptions: { setting: 'MAX_SUBSCRIPTIONS', least: 1, most: 100_000, byDefault: 100 },
  /** Operations in flight on one WebSocket, subscriptions included. */
  operations: { setting: 'MAX_OPERATIONS', least: 1, most: 100_000, byDefault: 2_000 },
  /** HTTP requests in flight, event streams included. */
  requests: { setting: 'MAX_REQUESTS', least: 1, most: 1_000_000, byDefault: 20_000 },
  bodyBytes: { setting: 'MAX_BODY_BYTES', least: 1_024, most: 67_108_864, byDefault: 1_048_576 },
  /** One WebSocket message. */
  frameBytes: { setting: 'MAX_FRAME_BYTES', least: 1_024, most: 67_108_864, byDefault: 1_048_576 },
  headerBytes: { setting: 'MAX_HEADER_BYTES', least: 1_024, most: 1_048_576, byDefault: 16_384 },
  /** How long a new WebSocket may take to send `connection_init`. */
  connectionInitMs: { setting: 'CONNECTION_INIT_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 3_000 },
  /** How often a WebSocket is pinged. One that has not answered by the next ping is closed. */
  pingMs: { setting: 'PING_INTERVAL_MS', least: 100, most: 600_000, byDefault: 12_000 },
  /** How long a request's headers may take to arrive. */
  headersMs: { setting: 'HEADERS_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 10_000 },
  /** How long a whole request may take to arrive. */
  requestMs: { setting: 'REQUEST_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 30_000 },
  /** How long an idle connection is kept open. */
  idleMs: { setting: 'IDLE_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 65_000 },
  /** Metered calls that wait for their answer. */
  waitingCalls: { setting: 'MAX_WAITING_CALLS', least: 1, most: 1_000_000, byDefault: 20_000 },
  /** The estimated wait above which operations are refused. */
  waitMs: { setting: 'MAX_WAIT_MS', least: 10, most: 60_000, byDefault: 250 },
  /** Statements that wait for a database connection. */
  waitingQueries: { setting: 'MAX_WAITING_QUERIES', least: 1, most: 100_000, byDefault: 1_000 },
} as const satisfies Record<string, LimitSetting>

export type Limits = Readonly<Record<keyof typeof limitSettings, number>>

/** Limits on one GraphQL operation. docs/errors.md names them to callers. */
export const operationLimits = {
  /** Tokens of the document; more are not parsed. */
  tokens: 10_000,
  /** Fragments count wherever they are spread. */
  aliases: 300,
  directives: 50,
  depth: 12,
  breadth: 300,
  /** Rows of a list count as often as the list may have them. */
  cost: 10_000,
} as const

/** Limits on the lists of one operation. The schema's descriptions name them to callers. */
export const listLimits = {
  pageRows: 100,
  /** Rows of a page whose size is not given. */
  defaultPageRows: 20,
  /** Ids in `nodes`. */
  nodes: 100,
  /** Calls in `meterApiCalls`. */
  meteredCalls: 1_000,
  /** Keys that a subscription is restricted to. */
  watchedApiKeys: 1_000,
  /** API calls that a key is restricted to. Each is looked up, and no catalogue is larger. */
  grantedApiCalls: 1_000,
  /** Months of a usage history. */
  historyMonths: 120,
} as const

/** Limits without a setting: they follow from how the server works, not from what it is used for. */
export const fixedLimits = {
  /** Source text of the cached documents; a parsed document takes about 80 bytes a character. */
  cachedDocumentsLength: 500_000,
  cachedDocumentLength: 20_000,
  /** Tokens whose signature need not be checked again. */
  checkedTokens: 10_000,
  /** Their Authorization headers, in characters. */
  checkedTokensLength: 16_777_216,
  /** One Authorization header, in characters. A longer one is refused unread. */
  authorizationLength: 8_192,
  /** Request bodies that are being received, in total. */
  bodiesBytes: 67_108_864,
  /** Connections that the operating system holds until they are accepted. */
  pendingConnections: 4_096,
  /**
   * Requests that are started per turn of the event loop. Node.js accepts one new connection per turn, so turns must be
   * short.
   */
  requestsPerTurn: 64,
  /**
   * Messages that are read from one WebSocket in one turn of the event loop. Node.js would go on reading while there is
   * something to read, and every other client would wait.
   */
  messagesPerTurn: 256,
  /** One WebSocket message of a client that has not sent a valid token. */
  strangersMessageBytes: 16_384,
  /** Unsent bytes on one WebSocket above which it is no longer read from and subscriptions merge their events. */
  unsentBytes: 65_536,
} as const
