import './element.tsx'
import { getToken } from './host-token.ts'

// The page at /: the element, told where the server is and where tokens come from.
for (const element of document.querySelectorAll('latchkey-keys')) {
  element.setAttribute('endpoint', '/graphql')
  element.getToken = getToken
}
