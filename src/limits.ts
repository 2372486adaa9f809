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
  /** How long a response may wait for its client to read any of it. Then the connection is closed. */
  writeMs: { setting: 'WRITE_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 30_000 },
  /** Bytes of responses, event streams and WebSocket messages that clients have not read. Beyond, connections are closed. */
  unsentResponseBytes: {
    setting: 'MAX_UNSENT_BYTES',
    least: 65_536,
    most: 4_294_967_296,
    byDefault: 67_108_864,
  },
  unsentResponseBytesPerAccount: {
    setting: 'MAX_UNSENT_BYTES_PER_ACCOUNT',
    least: 65_536,
    most: 4_294_967_296,
    byDefault: 16_777_216,
  },
  /** How long an idle connection is kept open. */
  idleMs: { setting: 'IDLE_TIMEOUT_MS', least: 100, most: 600_000, byDefault: 65_000 },
  /** Metered calls that wait for their answer. */
  waitingCalls: { setting: 'MAX_WAITING_CALLS', least: 1, most: 1_000_000, byDefault: 20_000 },
  /** The estimated wait above which operations are refused. */
  waitMs: { setting: 'MAX_WAIT_MS', least: 10, most: 60_000, byDefault: 250 },
  /** Operations in flight, most of which wait; those that meter and subscriptions do not count. */
  waitingQueries: { setting: 'MAX_WAITING_QUERIES', least: 1, most: 100_000, byDefault: 1_000 },
  /** Keys that customers add to one account within an hour, on all servers together. */
  addedApiKeysPerHour: { setting: 'MAX_ADDED_API_KEYS_PER_HOUR', least: 1, most: 1_000_000, byDefault: 600 },
  /** Accounts that the claims of tokens create per minute. */
  createdAccountsPerMinute: {
    setting: 'MAX_CREATED_ACCOUNTS_PER_MINUTE',
    least: 1,
    most: 1_000_000,
    byDefault: 1_000,
  },
} as const satisfies Record<string, LimitSetting>

export type Limits = Readonly<Record<keyof typeof limitSettings, number>>

/** Limits on one GraphQL operation. docs/errors.md names them to callers. */
export const operationLimits = {
  /** Tokens of the document; more are not parsed. */
  tokens: 10_000,
  /** The same without a bearer token. GraphiQL's query for the schema has about 400. */
  anonymousTokens: 1_000,
  /** Fields, fragments and spreads of all operations of a document, as they are written. */
  selections: 500,
  /** Fragments count wherever they are spread. */
  aliases: 300,
  directives: 50,
  depth: 12,
  breadth: 300,
  /**
   * A field costs 1, with a statement of its own 10, and in a list as often as there may be rows: `first` or `last`, the
   * ids given, the months asked for, or else an estimate.
   */
  cost: 10_000,
  /** Characters of an alias. A response repeats it for every row of a list. */
  aliasLength: 128,
  /** Lists, objects and scalars in the variables. A full import of keys has about 20,000. */
  variableValues: 25_000,
} as const

/** The cost of what takes a statement of its own. A field costs 1. */
export const statementCost = 10

/** Limits on what a response says about errors, so that a refusal is never much larger than the request. */
export const errorLimits = {
  /** Errors in a response; also the errors in variables and documents after which checking stops. */
  errors: 50,
  /** Characters of a message, and of each name in it. Messages of libraries repeat what the client sent. */
  messageLength: 1_000,
  /** Places in the document that an error names. */
  locations: 10,
  /** Broken rules that an InvalidInputError lists. */
  issues: 50,
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
  /** Accounts in `saveAccounts`. */
  savedAccounts: 1_000,
  /** Keys in `importApiKeys`. */
  importedApiKeys: 1_000,
  /** Secrets in `reportLeakedApiKeys`. */
  leakedSecrets: 1_000,
  /** Keys that a subscription is restricted to. */
  watchedApiKeys: 1_000,
  /** API calls that a key is restricted to. Each is looked up, and no catalogue is larger. */
  grantedApiCalls: 1_000,
  /** Networks that a key may be used from. */
  allowedNetworks: 100,
  /** Resources that a key may touch, in total of all types. */
  grantedResources: 1_000,
  /** Months of a usage history. */
  historyMonths: 120,
} as const

/** The least and most of a rate limit: so many calls in so many seconds. The schema's descriptions name them. */
export const rateLimitBounds = {
  leastCalls: 1,
  mostCalls: 2_147_483_647,
  leastSeconds: 1,
  /** A day. */
  mostSeconds: 86_400,
} as const

/** Limits on the catalogue of plans and API calls. */
export const catalogueLimits = {
  /** Characters of an API call's path. */
  longestPath: 500,
  /** Accounts or keys that a refusal to remove a plan or an API call names. */
  namedUsers: 10,
} as const

/** The most of other values that describe a key. The schema's descriptions name them to callers. */
export const keyLimits = {
  /** How long a replaced secret may go on working: 30 days. */
  overlapSeconds: 2_592_000,
  /** Characters of a resource's type and id. */
  resourceTypeLength: 64,
  resourceIdLength: 256,
  /** Characters of what is shown of an imported secret. */
  importedStartLength: 32,
  /** Characters that say where leaked secrets were found. */
  leakSourceLength: 200,
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
  /** Accounts whose ids need not be looked up again, in characters of both of their ids. */
  knownAccountsLength: 2_000_000,
  /** How long an account is known by its external id without asking the database again. */
  knownAccountsMs: 1_000,
  /** Request bodies that are being received, in total. */
  bodiesBytes: 67_108_864,
  /** The share of them that only tokens which may meter can use. */
  meteringBodiesBytes: 16_777_216,
  /** Connections that the operating system holds until they are accepted. */
  pendingConnections: 4_096,
  /**
   * Requests that are started per turn of the event loop. Node.js accepts one new connection per turn, so turns must be
   * short.
   */
  requestsPerTurn: 64,
  /** As many requests as one without a token counts for: its document was never seen before. */
  anonymousWeight: 8,
  /**
   * Messages that are read from one WebSocket in one turn of the event loop. Node.js would go on reading while there is
   * something to read, and every other client would wait.
   */
  messagesPerTurn: 256,
  /** Operations that are executed at the same time, metering and subscriptions left out. The others wait. */
  operationsAtOnce: 16,
  /** Those of one account, or of one token without an account. */
  operationsAtOncePerOwner: 4,
  /** The share of the database connections, metering's left out, that one account may use. At least it has one. */
  connectionsShare: 1 / 3,
  /** Fields that are resolved in one turn of the event loop. */
  fieldsPerTurn: 500,
  /** The same for the parts that long lists are resolved in. */
  fieldsPerPart: 100,
  /** Characters of a document that may take as long to parse and validate as a field to resolve. */
  charactersPerField: 10,
  /** Fields that take about as long to resolve as the server has to do for a statement. */
  fieldsPerStatement: 50,
  /** Rows that one statement reads for many objects at once. */
  rowsPerStatement: 1_000,
  /**
   * Accounts whose live counts are read from the database again at the same time, after something that may have changed
   * the counts of all. Half of the connections that customers' operations have by default.
   */
  rereadsAtOnce: 4,
  /** How long it takes to start a subscription, in fields resolved. */
  fieldsPerSubscription: 50,
  /** Keys whose counts one statement reads. */
  rereadPageKeys: 1_000,
  /** Keys in one live event. Lists of more take several events. */
  apiKeysPerEvent: 500,
  /** Events of an account's current counts that are kept for other subscribers with the same place. */
  sharedEvents: 16,
  /** Servers spread these reads over this time, because all of them hear of it at once. */
  rereadSpreadMs: 200,
  /**
   * The number of values in an operation's variables times their length, above which checking stops at the first
   * error: each error quotes the value around it.
   */
  variablesWeight: 4_000_000,
  /** One WebSocket message, or one body, of a client that has not sent a valid token. */
  strangersMessageBytes: 16_384,
  /** Unsent bytes on one WebSocket above which it is no longer read from and subscriptions merge their events. */
  unsentBytes: 65_536,
  /** Requests in flight on one connection. With as many, it is not read from. */
  requestsPerConnection: 64,
  /** Secrets whose calls are known to need grouping by address or resource. */
  detailHints: 50_000,
  /** How often a batch is charged again after the database refused it because of a change at the same time. */
  recharges: 5,
  /** How often request ids that count no longer are looked for, and how many rows are removed at once. */
  forgetRequestsEveryMs: 60_000,
  forgottenRequests: 5_000,
  /** Node.js reads 64 KB at once, which hold thousands of requests. With as many in flight, the connection is closed. */
  pipelinedRequests: 256,
  /** Bytes of the log that wait for standard output. Further lines are dropped and counted. */
  logBufferBytes: 4_194_304,
  /** Characters of a line of the log. A longer one is cut: its texts and lists to the next two limits. */
  logLineLength: 16_384,
  loggedTextLength: 1_000,
  loggedItems: 50,
} as const
