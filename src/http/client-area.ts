import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../log.ts'
import { clientAreaDirectory } from '../paths.ts'
import { mayHoldTokens } from './origins.ts'
import { sendJson } from './server.ts'
import { StaticFiles } from './static-files.ts'

export interface ClientAreaOptions {
  log: Logger
  /** The page as it was built; left out, where the build puts it. */
  directory?: string | undefined
  /** The one site that may hold the page in a frame, or open it, and hands its token over. Left out: none. */
  hostOrigin?: string | undefined
  /** Makes a fresh token of the demo account. Left out: there is none. */
  demoToken?: (() => Promise<string>) | undefined
}

/** Answers what is asked of the client area; false, with nothing done, for all else. */
export type ClientArea = (
  request: IncomingMessage,
  response: ServerResponse,
  pathname: string | null,
) => boolean

const folder = '/client-area/'

/** Everything but the element is for the page alone. */
const ownHeaders = { 'cross-origin-resource-policy': 'same-origin' }
/** The names of the page's parts change with what is in them. */
const partHeaders = { ...ownHeaders, 'cache-control': 'public, max-age=31536000, immutable' }
/** The custom element is for pages of other sites. Its address stays, so they come to ask whether it has changed. */
const elementHeaders = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'no-cache',
}

/** Serves the API Keys page at `/`, with what it is made of, and the custom element, below /client-area/. */
export async function createClientArea(options: ClientAreaOptions): Promise<ClientArea> {
  const files = await StaticFiles.read(options.directory ?? fileURLToPath(clientAreaDirectory))

  async function answer(request: IncomingMessage, response: ServerResponse, pathname: string): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return sendJson(response, 405, { message: 'This can only be read.' })
    }
    if (pathname === `${folder}session`) return await answerSession(request, response, options)
    const path = pathname === '/' ? 'index.html' : pathname.slice(folder.length)
    const headers = pathname === '/' ? pageHeaders(request, options) : headersOfPart(path)
    if (!headers || !files.has(path))
      return sendJson(response, 404, {
        message: 'The client area has no such file. Is it built (npm run build)?',
      })
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    await files.send(request, response, path)
  }

  return (request, response, pathname) => {
    if (pathname !== '/' && !pathname?.startsWith(folder)) return false
    answer(request, response, pathname).catch((err) => {
      options.log.error({ err }, 'the client area could not be answered')
      response.destroy()
    })
    return true
  }
}

function pageHeaders(request: IncomingMessage, { hostOrigin }: ClientAreaOptions): Record<string, string> {
  return {
    ...ownHeaders,
    'content-security-policy': contentSecurityPolicy(request, hostOrigin),
    'cache-control': 'no-cache',
  }
}

/** Undefined for what is not for the public. */
function headersOfPart(path: string): Record<string, string> | undefined {
  if (path === 'latchkey-keys.js') return elementHeaders
  return path.startsWith('assets/') ? partHeaders : undefined
}

/** Nothing but the page's own files runs or is shown, it talks to this server alone, and `hostOrigin` may frame it. */
function contentSecurityPolicy({ headers }: IncomingMessage, hostOrigin = "'none'"): string {
  const host = /^[\w.:[\]-]+$/.exec(headers.host ?? '')?.[0]
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    // Not every browser takes 'self' to mean WebSockets, too.
    `connect-src 'self'${host ? ` ws://${host} wss://${host}` : ''}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${hostOrigin}`,
  ].join('; ')
}

/** Tells the page how it comes by its token. */
async function answerSession(
  request: IncomingMessage,
  response: ServerResponse,
  { hostOrigin, demoToken }: ClientAreaOptions,
): Promise<void> {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('cross-origin-resource-policy', 'same-origin')
  if (hostOrigin !== undefined) return sendJson(response, 200, { mode: 'embedded', origin: hostOrigin })
  if (!isOwnPage(request))
    return sendJson(response, 403, {
      message:
        'A token of the demo account is only given to the page itself, opened at localhost or an IP address.',
    })
  if (!demoToken)
    return sendJson(response, 403, {
      message:
        'There is no demo account here, as tokens are signed elsewhere. CLIENT_AREA_ORIGIN names the site that hands them over.',
    })
  sendJson(response, 200, { mode: 'development', token: await demoToken() })
}

function isOwnPage({ headers }: IncomingMessage): boolean {
  const { host, origin, 'sec-fetch-site': site = 'same-origin' } = headers
  const address = `http://${host}`
  return (
    URL.canParse(address) &&
    mayHoldTokens(new URL(address).hostname, origin) &&
    (site === 'same-origin' || site === 'none')
  )
}
