import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'

/** Which sites' scripts may ask this server, and read what it answers. */
export interface Origins {
  /** False for a browser whose page may not; what is no browser says no origin, and always may. */
  mayAsk(request: IncomingMessage): boolean
  /** Sets what CORS needs on the answer. True where it was asked for nothing else (a preflight), and is sent. */
  answer(request: IncomingMessage, response: ServerResponse): boolean
}

/** How long browsers need not ask again whether a page may, in seconds; more than this they do not take. */
const preflightMaxAge = '7200'

/**
 * There are no cookies, so any origin may send what its own user's token allows, unless there is a list.
 * @param list exact origins; left out, any
 */
export function createOrigins(list?: readonly string[]): Origins {
  const isListed = (origin: string) => list === undefined || list.includes(origin)
  return {
    mayAsk({ headers: { origin, host } }) {
      if (origin === undefined || isListed(origin)) return true
      // The pages that this server serves itself. Its address may be https outside and http here.
      return URL.canParse(origin) && new URL(origin).host === host
    },
    answer({ method, headers }, response) {
      const { origin } = headers
      if (list) response.setHeader('vary', 'Origin')
      if (!list) response.setHeader('access-control-allow-origin', '*')
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

/**
 * False where an answer could come to be read by a script of another site: because that asks for it (CORS lets it
 * read answers), or because a name of its own has been made to point here (so names other than localhost do not
 * count).
 * @param hostname as it stands in a URL: IPv6 addresses in brackets
 */
export function mayHoldTokens(hostname: string, origin: string | null | undefined): boolean {
  const unbracketed = hostname.replace(/^\[(.*)\]$/, '$1')
  return origin == null && (unbracketed === 'localhost' || isIP(unbracketed) !== 0)
}
