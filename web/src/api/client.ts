import { Client, type CombinedError, fetchExchange, subscriptionExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { createCache } from './cache.ts'
import { LiveConnection } from './live.ts'
import { type GetToken, Tokens } from './tokens.ts'

/** All communication with the server, for one customer. */
export interface Api {
  client: Client
  live: LiveConnection
  stop(): void
}

/** @param endpoint the URL of the GraphQL API, absolute or relative to the page */
export function createApi(endpoint: string, getToken: GetToken): Api {
  const url = new URL(endpoint, document.baseURI)
  const tokens = new Tokens(getToken)
  const live = new LiveConnection(url.href.replace(/^http/, 'ws'), tokens)
  const client = new Client({
    url: url.href,
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    fetchOptions: { credentials: 'omit', headers: { accept: 'application/graphql-response+json' } },
    exchanges: [
      createCache(),
      // Before the auth exchange: the live connection handles its own tokens, and survives without one.
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables, operationName }) => ({
          subscribe: (sink) => ({
            unsubscribe: live.follow(
              { query, variables: variables ?? null, operationName: operationName ?? null },
              { next: (result) => sink.next(result as never), error: sink.error },
            ),
          }),
        }),
      }),
      authenticated(tokens),
      fetchExchange,
    ],
  })
  return {
    client,
    live,
    stop() {
      tokens.stop()
      void live.stop()
    },
  }
}

/** Adds the token to every request. A request refused for its token is sent once more with a new one. */
const authenticated = (tokens: Tokens) =>
  authExchange(async ({ appendHeaders }) => {
    await tokens.get()
    return {
      addAuthToOperation: (operation) =>
        appendHeaders(operation, { authorization: `Bearer ${tokens.current}` }),
      willAuthError: () => tokens.isDue,
      didAuthError: isUnauthenticated,
      refreshAuth: async () => {
        await tokens.renew()
      },
    }
  })

function isUnauthenticated({ graphQLErrors }: CombinedError): boolean {
  return graphQLErrors.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED')
}
