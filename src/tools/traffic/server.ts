import { type Client, createClient } from 'graphql-ws'
import WebSocket from 'ws'
import type { DecisionCode, MeteredCall } from '../../domain/metering/decision.ts'

/** What traffic cannot begin or go on with; the message says what to do. */
export class TrafficError extends Error {}

export interface TrafficKey {
  secret: string
  /** The API calls that it is restricted to; null for full access. */
  restrictedTo: readonly string[] | null
}

export interface TrafficPlan {
  keys: TrafficKey[]
  /** The names of the catalogue. */
  apiCalls: string[]
}

interface PlanResponse {
  data?: {
    account: {
      apiKeys: {
        nodes: { secret: string | null; access: { mode: string; apiCalls: { name: string }[] } }[]
      }
    } | null
    apiCalls: { name: string }[]
  }
  errors?: { message: string; extensions?: { code?: string } }[]
}

const planQuery = `query TrafficPlan {
  account { apiKeys(first: 100) { nodes { secret access { mode apiCalls { name } } } } }
  apiCalls { name }
}`

/** What there is to call, and with which keys, as a customer reads it. Throws TrafficError. */
export async function readPlan(url: string, customerToken: string): Promise<TrafficPlan> {
  const { data, errors } = await query(url, customerToken)
  if (errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') throw tokenRefused(url)
  if (errors?.[0] || !data) throw new TrafficError(`${url} answers: ${errors?.[0]?.message ?? 'nothing'}`)
  const all = data.account?.apiKeys.nodes ?? []
  const keys = all.flatMap(({ secret, access }) =>
    secret === null
      ? []
      : [{ secret, restrictedTo: access.mode === 'FULL' ? null : access.apiCalls.map(({ name }) => name) }],
  )
  if (all.length > 0 && keys.length === 0)
    throw new TrafficError(
      'The secrets of the keys cannot be read again, so there is nothing to call with: the server keeps none ' +
        '(KEY_ENCRYPTION_KEYS is not set), or these were kept under encryption keys that it no longer has. ' +
        'Re-generate a key.',
    )
  return { keys, apiCalls: data.apiCalls.map(({ name }) => name) }
}

async function query(url: string, token: string): Promise<PlanResponse> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: planQuery }),
  }).catch((cause) => {
    throw new TrafficError(
      `No server answers at ${url}. Start one (npm start), or say with --url where it is.`,
      { cause },
    )
  })
  return await response.json().catch((cause) => {
    throw new TrafficError(`What answers at ${url} is not Latchkey. Say with --url where it is.`, { cause })
  })
}

function tokenRefused(url: string): TrafficError {
  return new TrafficError(
    `The server at ${url} refuses the token: it goes by other secrets. ` +
      'Run this with the DATA_DIR (or the AUTH_SECRET) that the server runs with.',
  )
}

/** How a call ended: a decision's code, or the code of an error in `error`. */
export type Outcome = { code: DecisionCode } | { error: string }

const meterMutation = `mutation Traffic($secret: String!, $apiCall: String!) {
  meterApiCall(input: { secret: $secret, apiCall: $apiCall }) { code }
}`

/** The gateway's side: one WebSocket that all calls go over, opened again for the next call after it was lost. */
export class Gateway {
  readonly #url: string
  readonly #client: Client

  constructor(url: string, token: string) {
    this.#url = url
    this.#client = createClient({
      url: `${url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      // A call that was on its way when the connection broke may have been counted: it is not sent again.
      retryAttempts: 0,
      lazyCloseTimeout: 60_000,
    })
  }

  /** Asks about one call. Throws TrafficError where the token is refused. */
  meter(call: MeteredCall): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#client.subscribe<{ meterApiCall: { code: DecisionCode } }>(
        { query: meterMutation, variables: { ...call } },
        {
          next: ({ data, errors }) =>
            resolve(
              data
                ? { code: data.meterApiCall.code }
                : { error: String(errors?.[0]?.extensions?.code ?? 'UNKNOWN') },
            ),
          error: (error) => {
            if (closeCodeOf(error) === 4403) reject(tokenRefused(this.#url))
            else resolve({ error: errorCodeOf(error) })
          },
          complete: () => resolve({ error: 'UNANSWERED' }),
        },
      )
    })
  }

  async close(): Promise<void> {
    await this.#client.dispose()
  }
}

function closeCodeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

function errorCodeOf(error: unknown): string {
  if (Array.isArray(error)) return String(error[0]?.extensions?.code ?? 'UNKNOWN')
  return 'CONNECTION_LOST'
}
