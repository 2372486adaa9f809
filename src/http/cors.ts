import type { IncomingMessage, ServerResponse } from 'node:http'

/** Which sites' scripts may send requests to this server and read the responses. */
export interface Cors {
  /** False for a page of an origin that may not. Clients that are not browsers send no origin and always may. */
  allows(request: IncomingMessage): boolean
  /** Sets the response's CORS headers. Returns true for a preflight, which it has answered. */
  apply(request: IncomingMessage, response: ServerResponse): boolean
}

/** How long a browser may cache a preflight, in seconds: the most that browsers accept. */
const preflightMaxAge = '7200'

/**
 * There are no cookies, so a page of any origin can do only what the token that it holds allows. `CORS_ORIGINS`
 * restricts it further.
 * @param origins exact origins; left out, any
 */
export function createCors(origins?: readonly string[]): Cors {
  const isListed = (origin: string) => origins === undefined || origins.includes(origin)
  return {
    allows({ headers: { origin, host } }) {
      if (origin === undefined || isListed(origin)) return true
      // The server's own pages. Its address may be https for browsers and http behind the proxy.
      return URL.canParse(origin) && new URL(origin).host === host
    },
    apply({ method, headers }, response) {
      const { origin } = headers
      if (origins) response.setHeader('vary', 'Origin')
      if (!origins) response.setHeader('access-control-allow-origin', '*')
      else if (origin !== undefined && isListed(origin))
        response.setHeader('access-control-allow-origin', origin)
      if (method !== 'OPTIONS') return false
      response
        .writeHead(204, {
          'access-control-allow-methods': 'GET, POST',
          'access-control-allow-headers':
            headers['access-control-request-headers'] ?? 'authorization, content-type',
          'access-control-max-age': preflightMaxAge,
          allow: 'GET, POST',
        })
        .end()
      return true
    },
  }
}
