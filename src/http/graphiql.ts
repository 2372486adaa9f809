import { createHash } from 'node:crypto'
import type { GraphiQLOptions } from 'graphql-yoga'
import { type Role, type TabKeys, tutorialTabs } from './graphiql-tabs.ts'
import { mayHoldTokens } from './origins.ts'

/** What the page is filled in with: a token for each role, and keys to try things on. */
export interface Explorer extends TabKeys {
  tokens: Record<Role, string>
}

interface PageOptions extends GraphiQLOptions {
  /** Every text in the tabs that may be another one the next time the page is loaded, in a fixed order. */
  filledIn: readonly string[]
}

/** The explorer of one request. */
export type GraphiQL = (request: Request) => Promise<PageOptions>

/**
 * The explorer, with worked operations in its tabs.
 * @param readExplorer what to fill in, read for each page, as keys change; placeholders where it is left out.
 */
export function createGraphiQL(readExplorer?: () => Promise<Explorer>): GraphiQL {
  return async ({ url, headers }) => {
    const mayHold = mayHoldTokens(new URL(url).hostname, headers.get('origin'))
    return pageOptions(mayHold ? await readExplorer?.() : undefined)
  }
}

function pageOptions(explorer: Explorer | undefined): PageOptions {
  const { tokens, meteredSecret, changedId } = explorer ?? placeholders
  const defaultTabs = tutorialTabs({ meteredSecret, changedId }).map(({ as, query, variables }) => ({
    query,
    variables: variables ? JSON.stringify(variables, null, 2) : '',
    headers: headersFor(as, tokens?.[as]),
  }))
  const options = {
    title: 'Latchkey',
    logo,
    favicon: `data:image/svg+xml,${encodeURIComponent(logo)}`,
    defaultTabs,
    defaultHeaders: headersFor('customer', tokens?.customer),
    // Tokens of development survive in the browser, with the tabs that hold them; real ones do not.
    shouldPersistHeaders: explorer !== undefined,
    // Not over WebSocket: there the page would send one token for all tabs, and not the tab's own.
    subscriptionsProtocol: 'SSE',
    // Subscriptions, too: nothing of an operation belongs in an address.
    method: 'POST',
    // The page would otherwise keep its address in step with the editor, secrets that stand there included.
    onEditQuery: null,
    filledIn: [...Object.values(tokens ?? {}), meteredSecret, changedId],
  } as const
  return options
}

const placeholders: TabKeys & { tokens?: undefined } = {
  meteredSecret: 'the secret of a key',
  changedId: 'the id of a key',
}

const scopesOf: Record<Role, string> = {
  customer: 'keys:read keys:write keys:reveal',
  gateway: 'calls:meter',
  operator: 'admin',
}

/** The editor takes comments; a header with a token that is none would have even the schema refused. */
function headersFor(role: Role, token: string | undefined): string {
  if (token !== undefined) return JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2)
  return `{
  // A token of the ${role}, with the scopes
  // ${scopesOf[role]}:
  // "Authorization": "Bearer …"
}`
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="30" height="30" fill="none" \
stroke="#d60590" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">\
<circle cx="8" cy="16" r="4.5"/><path d="M11.2 12.8 20 4M16 8l3 3M19 5l1.5 1.5"/></svg>`

/** The page with everything in it: nothing is loaded from elsewhere. The options are those of `createGraphiQL`. */
export async function renderGraphiQL(pageOptions: GraphiQLOptions): Promise<string> {
  // The page is a string of 9 MB: loaded when it is first asked for, so that other servers do not hold it.
  const { renderGraphiQL: renderPage } = await import('@graphql-yoga/render-graphiql')
  const { filledIn, ...options } = pageOptions as PageOptions
  const tabs = createHash('sha256')
    .update(JSON.stringify(tutorialTabs(placeholders)))
    .digest('base64url')
  const current = JSON.stringify({ tabs, filledIn }).replaceAll('<', '\\u003c')
  const script = `<script>(${refreshStoredTabs})(localStorage, ${current})</script>`
  return renderPage(options).replace('<head>', () => `<head>${script}${tabsStayInPlace}`)
}

/** As strict as GraphiQL can live with: the page's own scripts, by what stands in them, and its editor's workers. */
export function contentSecurityPolicyOf(page: string): string {
  const hashes = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map(
    ([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  )
  return [
    "default-src 'none'",
    `script-src ${hashes.join(' ')}`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'img-src data:',
    'font-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/** GraphiQL's animation leaves tabs with a shift that shows only when they are pressed: the first click would miss. */
const tabsStayInPlace = '<style>.graphiql-tab { transform: none !important }</style>'

/**
 * Runs in the browser before GraphiQL, which keeps its tabs in localStorage and prefers them to those it is given:
 * without this, a page of a server with new tokens would go on with dead ones. What was filled in the last time
 * is replaced by what is filled in now, and whatever else the tabs hold is left alone. Tabs that are not of this
 * page (of another server that ran on this port) or of an older one are dropped.
 */
function refreshStoredTabs(
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
  current: { tabs: string; filledIn: readonly string[] },
): void {
  const ownEntry = 'latchkey:filled-in'
  const last = JSON.parse(storage.getItem(ownEntry) ?? 'null')
  storage.setItem(ownEntry, JSON.stringify(current))
  const keep = (name: string, value?: string | null) =>
    value ? storage.setItem(`graphiql:${name}`, value) : storage.removeItem(`graphiql:${name}`)
  const stored = last?.tabs === current.tabs ? storage.getItem('graphiql:tabState') : null
  const refresh = (text: string, old: string, index: number) =>
    text.replaceAll(old, current.filledIn[index] ?? old)
  const tabState = stored && last.filledIn.reduce(refresh, stored)
  keep('tabState', tabState)
  // GraphiQL opens one more tab, unless these say just what one of the tabs does.
  const { tabs = [], activeTabIndex = 0 } = JSON.parse(tabState ?? '{}')
  for (const name of ['query', 'variables', 'headers']) keep(name, tabs[activeTabIndex]?.[name])
}
