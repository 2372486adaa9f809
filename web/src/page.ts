import './element.tsx'
import { getToken } from './host-token.ts'

// The page at /: the custom element, configured with the server's address and the source of tokens.
for (const element of document.querySelectorAll('latchkey-keys')) {
  element.setAttribute('endpoint', '/graphql')
  element.getToken = getToken
}
