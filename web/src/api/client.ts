import { Client, type CombinedError, fetchExchange, subscriptionExchange } from '@urql/core'
import { authExchange } from '@urql/exchange-auth'
import { createCache } from './cache.ts'
import { LiveConnection } from './live.ts'
import { type GetToken, Tokens } from './tokens.ts'

/** All that speaks with the server, for one customer. */
export interface Api {
  client: Client
  live: LiveConnection
  stop(): void
}

/** @param endpoint the address of the GraphQL API, absolute or relative to the page */
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
      // Before the tokens of requests: the live connection sees to its own, and goes on when there is none.
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

/** Puts the token on every request; one that is refused for it is sent once more, with another. */
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
