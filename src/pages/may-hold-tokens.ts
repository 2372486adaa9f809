import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/**
 * Whether the response may hold a token of development. False where a script of another site could read it: where CORS
 * would let it, and for host names other than localhost, which a site could point at this server.
 */
export function mayHoldTokens({ headers: { host, origin } }: IncomingMessage): boolean {
  const address = `http://${host}`
  if (!URL.canParse(address) || origin !== undefined) return false
  const hostname = new URL(address).hostname.replace(/^\[(.*)\]$/, '$1')
  return hostname === 'localhost' || isIP(hostname) !== 0
}
