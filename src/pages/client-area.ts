import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { sendJson, sendProblem } from '../http/respond.ts'
import type { Route } from '../http/server.ts'
import { clientAreaDirectory } from '../paths.ts'
import { mayHoldTokens } from './may-hold-tokens.ts'
import { StaticFiles } from './static-files.ts'

export interface ClientAreaOptions {
  /** Where the built page is. Left out: where the build puts it. */
  directory?: string | undefined
  /** The one origin that may frame the page or open it, and that hands it its token. Left out: none. */
  hostOrigin?: string | undefined
  /** Makes a fresh token of the demo account. Left out: there is no demo account. */
  demoToken?: (() => Promise<string>) | undefined
}

const folder = '/client-area/'

/** For everything but the element: only the page itself loads it. */
const ownHeaders = { 'cross-origin-resource-policy': 'same-origin' }
/** The names of the page's parts change with their content. */
const partHeaders = { ...ownHeaders, 'cache-control': 'public, max-age=31536000, immutable' }
/** Pages of other sites load the custom element. Its URL never changes, so browsers revalidate it. */
const elementHeaders = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'no-cache',
}

/** The API Keys page at `/`, and below `/client-area/` its parts, the custom element and the session endpoint. */
export async function clientAreaRoutes(options: ClientAreaOptions): Promise<Route[]> {
  const files = await StaticFiles.read(options.directory ?? fileURLToPath(clientAreaDirectory))

  async function sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    file: string,
    headers: Record<string, string> | undefined,
  ): Promise<void> {
    if (!headers || !files.has(file))
      return sendProblem(response, 404, 'The client area has no such file. Is it built (npm run build)?')
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    await files.send(request, response, file)
  }

  const routes: Route[] = [
    {
      path: '/',
      serve: (request, response) => sendFile(request, response, 'index.html', pageHeaders(request, options)),
    },
    {
      path: `${folder}session`,
      serve: (request, response) => sendSession(request, response, options),
    },
    {
      path: `${folder}*`,
      serve(request, response, path) {
        const file = path.slice(folder.length)
        return sendFile(request, response, file, headersOfPart(file))
      },
    },
  ]
  return routes.map(({ path, serve }) => ({ path, serve: readOnly(serve), isPage: true }))
}

function readOnly(serve: Route['serve']): Route['serve'] {
  return (request, response, path) => {
    if (request.method === 'GET' || request.method === 'HEAD') return serve(request, response, path)
    response.setHeader('allow', 'GET, HEAD')
    sendProblem(response, 405, 'This can only be read. Send GET or HEAD.')
  }
}

function pageHeaders(request: IncomingMessage, { hostOrigin }: ClientAreaOptions): Record<string, string> {
  return {
    ...ownHeaders,
    'content-security-policy': contentSecurityPolicy(request, hostOrigin),
    'cache-control': 'no-cache',
  }
}

/** Undefined for files that are not public. */
function headersOfPart(path: string): Record<string, string> | undefined {
  if (path === 'latchkey-keys.js') return elementHeaders
  return path.startsWith('assets/') ? partHeaders : undefined
}

/** The page runs and shows nothing but its own files, talks to this server alone, and only `hostOrigin` may frame it. */
function contentSecurityPolicy({ headers }: IncomingMessage, hostOrigin = "'none'"): string {
  const host = /^[\w.:[\]-]+$/.exec(headers.host ?? '')?.[0]
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    // Not every browser includes WebSockets in 'self'.
    `connect-src 'self'${host ? ` ws://${host} wss://${host}` : ''}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${hostOrigin}`,
  ].join('; ')
}

/** Says where the page's token comes from, and in development makes one. */
async function sendSession(
  request: IncomingMessage,
  response: ServerResponse,
  { hostOrigin, demoToken }: ClientAreaOptions,
): Promise<void> {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('cross-origin-resource-policy', 'same-origin')
  if (hostOrigin !== undefined) return sendJson(response, 200, { mode: 'embedded', origin: hostOrigin })
  if (!isOwnPage(request))
    return sendProblem(
      response,
      403,
      'A token of the demo account is only given to the page itself, opened at localhost or an IP address.',
    )
  if (!demoToken)
    return sendProblem(
      response,
      403,
      'There is no demo account here, because tokens are signed elsewhere. CLIENT_AREA_ORIGIN names the site that hands them over.',
    )
  sendJson(response, 200, { mode: 'development', token: await demoToken() })
}

function isOwnPage(request: IncomingMessage): boolean {
  const { 'sec-fetch-site': site = 'none' } = request.headers
  return mayHoldTokens(request) && (site === 'same-origin' || site === 'none')
}
