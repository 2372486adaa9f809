import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { digestOf, startOf } from '../dist/domain/secret.js'
import { settle } from './contenders/database.mjs'
import { secretOf } from './load/secrets.mjs'

/** How many rows one statement inserts. */
const chunk = 20_000

/**
 * Fills a database that a server has migrated: `keys` keys with `months` months of history each, ten keys per
 * account, on a plan without a quota. If `accessList` is not 0, each key is restricted to that many API calls,
 * v3.ping included. With `someDenied`, every twentieth key may call nothing. With `limited`, each key has a rate and a
 * monthly limit that no bench reaches; with `networks`, ten networks, from 10.0.0.0/24 to 10.0.9.0/24. Each key has
 * `requestsPerKey` counted calls with a request id, spread over the 23 hours before.
 */
export async function fill(
  url,
  {
    keys,
    months = 1,
    accessList = 0,
    someDenied = false,
    limited = false,
    networks = false,
    requestsPerKey = 0,
  },
) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const accounts = Math.ceil(keys / 10)
  await client.query(
    `insert into plan (id, slug, name, max_api_keys, monthly_call_quota, created_at)
     values (gen_random_uuid(), 'bench', 'Bench', 1000, 9000000000000, now())`,
  )
  await client.query(
    `insert into account (id, external_id, name, plan_id, created_at)
     select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'account-' || n, 'Account', plan.id, now()
     from generate_series(0, $1 - 1) n, plan where slug = 'bench'`,
    [accounts],
  )
  for (let from = 0; from < keys; from += chunk) {
    const secrets = Array.from({ length: Math.min(chunk, keys - from) }, (_, i) => secretOf(from + i))
    await client.query(
      `insert into api_key (id, account_id, digest, start, access_mode, created_at)
       select id, ('00000000-0000-7000-8000-' || lpad(to_hex((position + $5 - 1) / 10), 12, '0'))::uuid, digest, start,
         (case when $6 or ($7 and (position + $5 - 1) % 20 = 0) then 'RESTRICTED' else 'FULL' end)::api_key_access_mode, now()
       from unnest($1::bytea[], $2::text[], $3::uuid[]) with ordinality as k (digest, start, id, position)
       where $4::int is not null`,
      [
        secrets.map(digestOf),
        secrets.map(startOf),
        secrets.map(uuid),
        secrets.length,
        from,
        accessList > 0,
        someDenied,
      ],
    )
  }
  if (accessList > 0)
    await client.query(
      `insert into api_key_api_call (api_key_id, api_call_id)
       select api_key.id, call.id from api_key,
         (select id from api_call order by name = 'v3.ping' desc, name limit $1) call`,
      [accessList],
    )
  if (limited)
    await client.query(
      'update api_key set rate_calls = 1000000, rate_per_seconds = 1, monthly_call_limit = 9000000000000',
    )
  if (networks)
    await client.query(
      `update api_key set allowed_networks =
         array(select format('10.0.%s.0/24', n)::inet from generate_series(0, 9) n)`,
    )
  if (requestsPerKey > 0)
    await client.query(
      `insert into metered_request (api_key_id, request_id, api_call_id, at)
       select api_key.id, gen_random_uuid(), api_call.id, now() - random() * interval '23 hours' as at
       from api_key, generate_series(1, $1), api_call where name = 'v3.ping'
       order by at`,
      [requestsPerKey],
    )
  // This month's rows exist all month but for its first minutes, so start with them.
  await client.query(
    `insert into account_usage (month, account_id, calls, quota)
     select (date_trunc('month', now()) - make_interval(months => ago))::date, id, 1, null
     from account, generate_series(0, $1 - 1) ago where external_id like 'account-%'`,
    [months],
  )
  await client.query(
    `insert into api_key_usage (month, api_key_id, calls, last_call_at)
     select (date_trunc('month', now()) - make_interval(months => ago))::date, id, 1, now()
     from api_key, generate_series(0, $1 - 1) ago`,
    [months],
  )
  await client.end()
  await settle(url)
}

/** Random ids, so that the order of insertion is not that of the index. */
function uuid() {
  const hex = randomBytes(16).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}
