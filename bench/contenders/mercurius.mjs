// The solution written by hand: Mercurius with its JIT, and one UPDATE … RETURNING per call on the same PostgreSQL.
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'
import { secretsOf } from '../load/secrets.mjs'
import { serve, settings } from './process.mjs'

const { url, keys } = settings()
const pool = new pg.Pool({ connectionString: url, max: 10 })
const digestOf = (secret) => createHash('sha256').update(secret).digest()
await pool.query(
  'create table key (digest bytea primary key, calls bigint not null default 0, quota bigint not null) with (fillfactor = 50)',
)
await pool.query(
  'insert into key (digest, quota) select digest, 1000000000 from unnest($1::bytea[]) digest',
  [secretsOf(keys).map(digestOf)],
)
await pool.query('analyze')

const app = Fastify()
app.register(mercurius, {
  schema: `
    type Decision { admitted: Boolean! calls: Int }
    type Query { alive: Boolean }
    type Mutation { meter(secret: String!, apiCall: String!): Decision! noop: Noop! }
    type Noop { admitted: Boolean! code: String! message: String! }`,
  resolvers: {
    Mutation: {
      meter: async (_, { secret }) => {
        const { rows } = await pool.query({
          name: 'count',
          text: 'update key set calls = calls + 1 where digest = $1 and calls < quota returning calls',
          values: [digestOf(secret)],
        })
        return rows.length > 0 ? { admitted: true, calls: Number(rows[0].calls) } : { admitted: false }
      },
      noop: () => ({ admitted: true, code: 'ADMITTED', message: 'ok' }),
    },
  },
  jit: 1,
})
await app.listen({ port: 0, host: '127.0.0.1' })
serve({ url: `http://127.0.0.1:${app.server.address().port}/graphql` }, async () => ({}))
