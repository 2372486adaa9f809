import { type Client, createClient } from 'graphql-ws'
import WebSocket from 'ws'
import type { DecisionCode, MeteredCall } from '../../domain/metering/decision.ts'

/** Traffic cannot start or continue; the message says what to do. */
export class TrafficError extends Error {}

export interface TrafficKey {
  secret: string
  /** The API calls the key is restricted to; null for full access. */
  restrictedTo: readonly string[] | null
}

export interface TrafficPlan {
  keys: TrafficKey[]
  /** The catalogue's names. */
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

/**
 * Reads the account's keys and the catalogue with a customer's token.
 * @throws TrafficError
 */
export async function readPlan(url: string, customerToken: string): Promise<TrafficPlan> {
  const { data, errors } = await query(url, customerToken)
  if (errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') throw tokenRefused(url)
  if (errors?.[0] || !data) throw new TrafficError(`${url} answered: ${errors?.[0]?.message ?? 'nothing'}`)
  const all = data.account?.apiKeys.nodes ?? []
  const keys = all.flatMap(({ secret, access }) =>
    secret === null
      ? []
      : [{ secret, restrictedTo: access.mode === 'FULL' ? null : access.apiCalls.map(({ name }) => name) }],
  )
  if (all.length > 0 && keys.length === 0)
    throw new TrafficError(
      'The server cannot show the secrets of this account’s keys, so there is nothing to call with. Either ' +
        'KEY_ENCRYPTION_KEYS is not set on the server, or it no longer contains the encryption key that these ' +
        'secrets were stored under. In the latter case, re-generate a key.',
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
      `No server answers at ${url}. Start one with npm start, or give its address with --url.`,
      { cause },
    )
  })
  return await response.json().catch((cause) => {
    throw new TrafficError(`The server at ${url} is not Latchkey. Give its address with --url.`, { cause })
  })
}

function tokenRefused(url: string): TrafficError {
  return new TrafficError(
    `The server at ${url} refuses the token, because it runs with another secret. ` +
      'Set DATA_DIR or AUTH_SECRET to the value that the server runs with.',
  )
}

/** How a call ended: with a decision, or with an error's code. */
export type Outcome = { code: DecisionCode } | { error: string }

const meterMutation = `mutation Traffic($secret: String!, $apiCall: String!) {
  meterApiCall(input: { secret: $secret, apiCall: $apiCall }) { code }
}`

/** The gateway's side: all calls share one WebSocket, which is reopened on the next call after it was lost. */
export class Gateway {
  readonly #url: string
  readonly #client: Client

  constructor(url: string, token: string) {
    this.#url = url
    this.#client = createClient({
      url: `${url.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      // A call in flight when the connection broke may have been counted, so it is not sent again.
      retryAttempts: 0,
      lazyCloseTimeout: 60_000,
    })
  }

  /**
   * Meters one call.
   * @throws TrafficError if the token is refused
   */
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
