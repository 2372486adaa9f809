// The upper bound for HTTP on Node.js: parses the body as JSON and answers with a constant.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { serve } from './process.mjs'

const answer = '{"data":{"noop":{"admitted":true,"code":"ADMITTED","message":"ok"}}}'
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    JSON.parse(body)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    response.end(answer)
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
serve({ url: `http://127.0.0.1:${server.address().port}/` }, async () => ({}))
