// Stands in for your product: two pages of its client area, and tokens for the customer who is signed in.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import process from 'node:process'
import { SignJWT } from 'jose'

const latchkey = process.env.LATCHKEY_URL || 'http://127.0.0.1:4000'
const port = Number(process.env.PORT || 8080)
const { AUTH_SECRET: secret = '', ACCOUNT: account = 'demo' } = process.env
if (Buffer.byteLength(secret) < 32) throw new Error('Set AUTH_SECRET to the value that Latchkey runs with.')

const types = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css' }
const files = ['element.html', 'element.js', 'iframe.html', 'iframe.js', 'host.css']

// What a strict policy must allow: the element's script, its requests and WebSockets, and the iframe.
const policy = [
  "default-src 'none'",
  `script-src 'self' ${latchkey}`,
  "style-src 'self'",
  `connect-src 'self' ${latchkey} ${latchkey.replace('http', 'ws')}`,
  `frame-src ${latchkey}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const server = createServer(async (request, response) => {
  const path = request.url === '/' ? 'element.html' : (request.url ?? '').slice(1)
  if (path === 'token') return sendToken(request, response)
  if (!files.includes(path)) return response.writeHead(404).end()
  const text = await readFile(new URL(path, import.meta.url), 'utf8')
  response.writeHead(200, {
    'content-type': types[path.slice(path.lastIndexOf('.') + 1)],
    'content-security-policy': policy,
  })
  response.end(text.replaceAll('http://127.0.0.1:4000', latchkey))
})

/** Your backend signs for the customer of the session. Here, a customer is always signed in. */
async function sendToken(request, response) {
  if (request.headers['sec-fetch-site'] !== 'same-origin') return response.writeHead(403).end()
  const token = await new SignJWT({ account, scope: 'keys:read keys:write keys:reveal' })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('a user of the customer')
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(secret))
  response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' })
  response.end(token)
}

server.listen(port, '127.0.0.1', () => {
  const { port } = server.address()
  process.stdout.write(`The example is at http://127.0.0.1:${port}/, with an iframe at /iframe.html\n`)
})
