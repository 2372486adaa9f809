import type { IncomingMessage } from 'node:http'

/** What a request asks for. `search` includes the question mark. */
export type RequestTarget = Pick<URL, 'pathname' | 'search'>

/** The target of a request; null where it is not a URL, or where the Host header is not a host name. */
export function targetOf({ url = '', headers, rawHeaders }: IncomingMessage): RequestTarget | null {
  if (!isHost(headers.host ?? '') || namesTwoHosts(rawHeaders)) return null
  // Most requests: neither a query string, nor dots or escapes that a URL would normalize.
  if (/^\/[\w/-]*$/.test(url)) return { pathname: url, search: '' }
  const address = url.startsWith('/') ? `http://localhost${url}` : url
  return URL.canParse(address) ? new URL(address) : null
}

/** Node.js takes the first of two Host headers, and a proxy in front may take the second. They are not allowed. */
function namesTwoHosts(rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count > 1
}

/** Whether a URL can be made with it (RFC 9112, 3.2). Clients that have no host name send an empty one. */
function isHost(host: string): boolean {
  return host === '' || (/^[^/?#@\\]+$/.test(host) && URL.canParse(`http://${host}`))
}
