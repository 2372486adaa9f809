// Better Auth's API-key plugin on the same PostgreSQL: verifyApiKey with `remaining`, without rate limits.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import pg from 'pg'
import { pickerOf } from '../load/picker.mjs'
import { secretsOf } from '../load/secrets.mjs'
import { run } from '../load/stats.mjs'
import { serve, settings } from './process.mjs'

const { url, keys } = settings()
const pool = new pg.Pool({ connectionString: url, max: 10 })
const auth = betterAuth({
  database: pool,
  secret: createHash('sha256').update('bench').digest('base64'),
  baseURL: 'http://localhost',
  plugins: [apiKey({ rateLimit: { enabled: false } })],
  telemetry: { enabled: false },
  logger: { disabled: true },
})
await (await getMigrations(auth.options)).runMigrations()
const secrets = secretsOf(keys)
await pool.query(
  `insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
   select 'user-' || n, 'n', 'user-' || n || '@example.org', true, now(), now() from generate_series(0, $1 - 1) n`,
  [Math.ceil(keys / 10)],
)
const hashes = secrets.map((secret) => createHash('sha256').update(secret).digest('base64url'))
await pool.query(
  `insert into apikey (id, "configId", "referenceId", key, enabled, "rateLimitEnabled", "requestCount", remaining, "createdAt", "updatedAt")
   select 'key-' || position, 'default', 'user-' || (position - 1) / 10, hash, true, false, 0, 1000000000, now(), now()
   from unnest($1::text[]) with ordinality as h (hash, position)`,
  [hashes],
)
await pool.query('analyze')

const verify = async (key) => (await auth.api.verifyApiKey({ body: { key } })).valid
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', async () => {
    const text = JSON.stringify({ admitted: await verify(JSON.parse(body).key) })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length })
    response.end(text)
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

serve({ url: `http://127.0.0.1:${server.address().port}/` }, async (question) => {
  const pick = pickerOf(question)
  const call = async () => ({ calls: 1, refused: (await verify(secrets[pick()])) ? 0 : 1 })
  return await run({ ...question, call })
})
