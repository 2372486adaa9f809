import { renderGraphiQL as renderPage } from '@graphql-yoga/render-graphiql'
import type { GraphiQLOptions } from 'graphql-yoga'

export type GraphiQL = GraphiQLOptions

/** The page with everything in it: nothing is loaded from elsewhere. */
export const renderGraphiQL = (options: GraphiQLOptions): string => renderPage(options)

/** The explorer with worked operations in its tabs, and with a token filled in where there is one to give away. */
export function graphiqlOptions(token?: string): GraphiQL {
  const headers = JSON.stringify({ Authorization: `Bearer ${token ?? '<a token>'}` }, null, 2)
  return {
    title: 'Latchkey',
    headers,
    defaultHeaders: headers,
    defaultTabs: [],
    subscriptionsProtocol: 'SSE',
    isHeadersEditorEnabled: true,
  }
}
