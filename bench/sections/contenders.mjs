import { createDatabase, dropDatabase } from '../contenders/database.mjs'
import { createUpsertTable, runPgbench } from '../contenders/pgbench.mjs'
import { startContender } from '../contenders/process.mjs'
import { startLatchkey } from '../latchkey.mjs'
import { interleave, load } from '../measure.mjs'
import { check } from '../report.mjs'

const names = {
  ws: 'Latchkey, graphql-ws, 64 callers',
  http: 'Latchkey, HTTP POST, 64 callers',
  many: 'Latchkey, meterApiCalls of 100, 8 callers',
  meter: 'Latchkey, in-process, 64 callers',
  betterAuth: 'Better Auth, in-process, 64 callers',
  betterAuthHttp: 'Better Auth, node:http, 64 callers',
  handRolled: 'Mercurius + UPDATE, HTTP, 64 callers',
  noopWs: 'no-op mutation, graphql-ws, 64 callers',
  noopHttp: 'no-op mutation, HTTP POST, 64 callers',
  noopYoga: 'no-op mutation, Yoga’s own HTTP, 64 callers',
  bare: 'bare node:http, 64 callers',
  upsert: 'pgbench, an upsert a call, 64 callers',
  wsAlone: 'Latchkey, graphql-ws, 1 caller',
  upsertAlone: 'pgbench, an upsert a call, 1 caller',
}

/** Latchkey, its alternatives, and the upper bounds on this machine. */
export async function contenders({ keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the contenders …')
  const servers = await startAll(keys)
  const runs = runsOf(servers, { keys, distribution: 'uniform', warmupMs, measureMs, callers: 64 })
  const lines = await interleave(
    Object.keys(runs).map((key) => ({ name: names[key], run: runs[key] })),
    rounds,
    tell,
  )
  await servers.stop()
  return {
    title: `Contenders: uniform over ${keys.toLocaleString('en-US')} keys of ${(keys / 10).toLocaleString('en-US')} accounts`,
    lines,
    checks: checksOf(lines),
  }
}

async function startAll(keys) {
  const [betterAuthUrl, handRolledUrl, upsertUrl] = await Promise.all(
    ['better_auth', 'hand_rolled', 'upsert'].map(createDatabase),
  )
  await createUpsertTable(upsertUrl, keys)
  const [latchkey, betterAuth, handRolled, bare] = await Promise.all([
    startLatchkey('latchkey', { keys }),
    startContender('./better-auth.mjs', { url: betterAuthUrl, keys }),
    startContender('./mercurius.mjs', { url: handRolledUrl, keys }),
    startContender('./bare-node.mjs', {}),
  ])
  const stop = async () => {
    for (const server of [latchkey, betterAuth, handRolled, bare]) await server.stop()
    for (const url of [betterAuthUrl, handRolledUrl, upsertUrl]) await dropDatabase(url)
  }
  return { latchkey, betterAuth, handRolled, bare, upsertUrl, stop }
}

function runsOf({ latchkey, betterAuth, handRolled, bare, upsertUrl }, common) {
  const send = ({ url, gatewayToken: token, cpu }, transport, operation, more) =>
    load({ ...common, url, token, cpu, transport, operation, ...more })
  const ask = (server, more) => server.ask({ ...common, cpu: server.cpu, ...more })
  const upsert = (callers) => runPgbench({ ...common, url: upsertUrl, callers })
  return {
    ws: () => send(latchkey, 'websocket', 'meter'),
    http: () => send(latchkey, 'http', 'meter'),
    many: () => send(latchkey, 'websocket', 'meterMany', { batch: 100, callers: 8 }),
    meter: () => ask(latchkey, { kind: 'in-process' }),
    betterAuth: () => ask(betterAuth),
    betterAuthHttp: () => send(betterAuth, 'http', 'verify'),
    handRolled: () => send(handRolled, 'http', 'handRolled'),
    noopWs: () => send(latchkey, 'websocket', 'noop'),
    noopHttp: () => send(latchkey, 'http', 'noop'),
    // The content type decides that Yoga answers.
    noopYoga: () => send(latchkey, 'http', 'noop', { contentType: 'application/graphql+json' }),
    bare: () => send(bare, 'http', 'noop'),
    upsert: () => upsert(64),
    wsAlone: () => send(latchkey, 'websocket', 'meter', { callers: 1 }),
    upsertAlone: () => upsert(1),
  }
}

function checksOf(lines) {
  const at = (key) => lines.find(({ name }) => name === names[key])
  const rate = (key, other) => at(key).callsPerSecond / at(other).callsPerSecond
  const p99OverBetterAuth = at('ws').p99Ms / at('betterAuth').p99Ms
  const p50OverUpsert = at('wsAlone').p50Ms / at('upsertAlone').p50Ms
  return [
    check('graphql-ws over Better Auth in-process', rate('ws', 'betterAuth'), 'at least', 15),
    check('p99 over graphql-ws to that of Better Auth in-process', p99OverBetterAuth, 'at most', 1),
    check('graphql-ws to the no-op on the same socket', rate('ws', 'noopWs'), 'at least', 0.5),
    check('HTTP over Better Auth behind node:http', rate('http', 'betterAuthHttp'), 'at least', 10),
    check('HTTP over Mercurius written by hand', rate('http', 'handRolled'), 'at least', 2),
    check('HTTP to the no-op over the same HTTP', rate('http', 'noopHttp'), 'at least', 0.6),
    check('that no-op over the same through Yoga’s own HTTP', rate('noopHttp', 'noopYoga'), 'at least', 2.5),
    check('meterApiCalls of 100 over Better Auth', rate('many', 'betterAuth'), 'at least', 40),
    check('p50 of one caller to that of a single upsert', p50OverUpsert, 'at most', 2),
  ]
}
