import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GraphiQLOptions } from 'graphql-yoga'
import { sendText } from '../http/respond.ts'
import { type Role, type TabKeys, tutorialTabs } from './graphiql-tabs.ts'
import { mayHoldTokens } from './may-hold-tokens.ts'

/** What the tabs are filled in with: a token for each role, and keys to try the operations on. */
export interface Explorer extends TabKeys {
  tokens: Record<Role, string>
}

interface PageOptions extends GraphiQLOptions {
  /** The values in the tabs that may differ the next time the page is loaded, in a fixed order. */
  filledIn: readonly string[]
}

/**
 * Serves GraphiQL with a tutorial in its tabs.
 * @param readExplorer reads what to fill in; called for each page, because keys change. Left out: placeholders.
 */
export function createGraphiQL(readExplorer?: () => Promise<Explorer>) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const page = await renderGraphiQL(
      pageOptions(mayHoldTokens(request) ? await readExplorer?.() : undefined),
    )
    response.setHeader('content-security-policy', contentSecurityPolicyOf(page))
    response.setHeader('cache-control', 'no-store')
    sendText(response, 200, page, 'text/html; charset=utf-8')
  }
}

function pageOptions(explorer: Explorer | undefined): PageOptions {
  const { tokens, ...keys } = explorer ?? placeholders
  const defaultTabs = tutorialTabs(keys).map(({ as, query, variables }) => ({
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
    // The browser stores the tabs' tokens in development, but never real ones.
    shouldPersistHeaders: explorer !== undefined,
    // Over WebSocket, the page would send one token for all tabs instead of each tab's own.
    subscriptionsProtocol: 'SSE',
    // For subscriptions, too, so that operations stay out of URLs.
    method: 'POST',
    // Otherwise the page would copy the editor's text into its URL, secrets included.
    onEditQuery: null,
    filledIn: [...Object.values(tokens ?? {}), keys.meteredSecret, keys.changedId, keys.changedSecret],
  } as const
  return options
}

const placeholders: TabKeys & { tokens?: undefined } = {
  meteredSecret: 'the secret of a key',
  changedId: 'the id of a key',
  changedSecret: 'the secret of another key',
}

const scopesOf: Record<Role, string> = {
  customer: 'keys:read keys:write keys:reveal',
  gateway: 'calls:meter',
  operator: 'admin',
}

/** Without a token, a comment: with a placeholder as the token, even the schema could not be loaded. */
function headersFor(role: Role, token: string | undefined): string {
  if (token !== undefined) return JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2)
  return `{
  // Add the ${role}'s token, with these scopes:
  // ${scopesOf[role]}
  // "Authorization": "Bearer …"
}`
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="30" height="30" fill="none" \
stroke="#d60590" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">\
<circle cx="8" cy="16" r="4.5"/><path d="M11.2 12.8 20 4M16 8l3 3M19 5l1.5 1.5"/></svg>`

/** The complete page, which loads nothing from other sites. */
async function renderGraphiQL({ filledIn, ...options }: PageOptions): Promise<string> {
  // The page is a string of 9 MB, so servers load it only when it is first requested.
  const { renderGraphiQL: renderPage } = await import('@graphql-yoga/render-graphiql')
  const tabs = createHash('sha256')
    .update(JSON.stringify(tutorialTabs(placeholders)))
    .digest('base64url')
  const current = JSON.stringify({ tabs, filledIn }).replaceAll('<', '\\u003c')
  const script = `<script>(${refreshStoredTabs})(localStorage, ${current})</script>`
  return renderPage(options).replace('<head>', () => `<head>${script}${tabsStayInPlace}`)
}

/** What stands in the page's script elements. Scripts themselves may contain the text of an opening tag. */
function scriptsOf(page: string): string[] {
  const [open, close] = ['<script>', '</script>']
  const scripts: string[] = []
  for (let start = page.indexOf(open); start !== -1; ) {
    const end = page.indexOf(close, start)
    scripts.push(page.slice(start + open.length, end))
    start = end === -1 ? -1 : page.indexOf(open, end)
  }
  return scripts
}

/** The strictest policy that GraphiQL works with: the page's own scripts, by hash, and the editor's workers. */
function contentSecurityPolicyOf(page: string): string {
  const hashes = scriptsOf(page).map(
    (script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
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

/** GraphiQL's animation leaves tabs shifted until they are pressed, so the first click would miss. */
const tabsStayInPlace = '<style>.graphiql-tab { transform: none !important }</style>'

/**
 * Runs in the browser before GraphiQL. GraphiQL keeps its tabs in localStorage and prefers them to the given ones, so
 * after the server's tokens have changed, it would go on using the old ones. This replaces the values that were filled
 * in last time with the current ones and leaves the rest of the tabs alone. It drops the tabs of another page, that is,
 * of an older version or of another server on this port.
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
  // GraphiQL opens one more tab unless these match the active one.
  const { tabs = [], activeTabIndex = 0 } = JSON.parse(tabState ?? '{}')
  for (const name of ['query', 'variables', 'headers']) keep(name, tabs[activeTabIndex]?.[name])
}
