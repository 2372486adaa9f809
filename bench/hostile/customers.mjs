import { badVariables, echoed, heldBodies, longName } from './strangers.mjs'
import { frame, get, post, subscribeFrame } from './wire.mjs'

const keyFields = 'id note start createdAt usage { calls lastCallAt } access { __typename }'
const live =
  'subscription { liveUsage { snapshot month account { calls quota remaining } apiKeys { apiKeyId calls lastCallAt } } }'

async function ask({ url }, token, query, variables) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query, variables }),
  })
  return await response.json()
}

async function idsOf(target, token) {
  const { data } = await ask(target, token, '{ account { id apiKeys(first: 100) { nodes { id } } } }')
  return data.account.apiKeys.nodes.map(({ id }) => id)
}

const aliased = (count, field) => Array.from({ length: count }, (_, i) => `a${i}: ${field}`).join(' ')

/** The most aliases of a field that one operation may have. */
async function mostAliases(target, documentOf, variables) {
  for (let count = 300; count > 1; count = Math.floor(count * 0.8)) {
    const { errors } = await ask(target, target.token, documentOf(count), variables)
    if (!errors?.some(({ extensions }) => extensions.code === 'QUERY_TOO_COMPLEX')) return documentOf(count)
  }
  return documentOf(1)
}

async function nodesRequest(target) {
  const variables = { ids: await idsOf(target, target.token) }
  const field = `nodes(ids: $ids) { ... on ApiKey { ${keyFields} } }`
  const documentOf = (count) => `query ($ids: [ID!]!) { ${aliased(count, field)} }`
  const query = await mostAliases(target, documentOf, variables)
  return post({ query, variables }, { token: target.token })
}

async function pagesRequest(target) {
  const field = `apiKeys(first: 100) { totalCount nodes { ${keyFields} } }`
  const query = await mostAliases(target, (count) => `{ account { ${aliased(count, field)} } }`)
  return post({ query }, { token: target.token })
}

const subscriptions = (reads) => async (attack) => {
  const perSocket = Math.min(100, attack.target.sockets)
  await attack.keepWebSockets(
    100,
    attack.target.token,
    async (socket) => {
      for (let id = 0; id < perSocket; id++) await attack.send(socket, subscribeFrame(id, { query: live }))
    },
    { reads },
  )
}

/** Subscribers of the account with the most keys, while each change of a key makes them all begin again. */
async function largeAccount(attack, ids) {
  const token = attack.target.largeToken
  const query =
    'mutation ($id: ID!, $note: String) { setApiKeyNote(input: { id: $id, note: $note }) { __typename } }'
  const watch = attack.keepWebSockets(100, token, (socket) =>
    attack.send(socket, subscribeFrame(1, { query: live })),
  )
  const change = attack.keepOpen(2, (socket) =>
    attack.converse(socket, () => {
      const variables = { id: ids[attack.sent % ids.length], note: `note ${attack.sent}` }
      return post({ query, variables }, { token })
    }),
  )
  await Promise.all([watch, change])
}

/** Adds a key and removes one, over and over, and gives others new secrets. */
async function changes(attack, ids) {
  const { token } = attack.target
  const document = `mutation ($id: ID!, $removed: ID!) {
    addApiKey(input: {}) { __typename } removeApiKey(input: { id: $removed }) { __typename }
    regenerateApiKey(input: { id: $id }) { __typename }
    configureApiKeyAccess(input: { id: $id, access: { mode: RESTRICTED, apiCalls: ["v3.ping"] } }) { __typename } }`
  await attack.keepOpen(16, (socket) =>
    attack.converse(socket, () => {
      const variables = { id: ids[attack.sent % ids.length], removed: ids[(attack.sent * 7) % ids.length] }
      return post({ query: document, variables }, { token })
    }),
  )
}

async function demand(attack) {
  const request = post(
    { query: `{ account { name apiKeys(first: 20) { nodes { ${keyFields} } } } }` },
    { token: attack.target.token },
  )
  await attack.keepOpen(64, (socket) => attack.converse(socket, () => request))
}

async function demandOverWebSockets(attack) {
  const query = `{ account { name apiKeys(first: 20) { nodes { ${keyFields} } } } }`
  await attack.keepWebSockets(50, attack.target.token, async (socket) => {
    let id = 0
    const next = () => Buffer.concat(Array.from({ length: 20 }, () => subscribeFrame(++id, { query })))
    await attack.stream(socket, next)
  })
}

/** Messages of fragments of one byte, which are never finished: as many as ws accepts. */
async function heldFragments(attack) {
  const some = Buffer.concat(new Array(1_000).fill(frame('x', { opcode: 0, fin: false })))
  await attack.keepWebSockets(100, attack.target.token, async (socket) => {
    await attack.send(socket, frame('x', { fin: false }))
    for (let sent = 0; sent < 16; sent++) await attack.send(socket, some)
  })
}

async function heldMessages(attack) {
  const message = frame('x'.repeat(1_048_000), { length: 1_048_576 })
  await attack.keepWebSockets(100, attack.target.token, (socket) => attack.send(socket, message))
}

async function badRequests(attack) {
  const { target } = attack
  const requests = [longName, echoed, ...badVariables].map((body) => post(body, { token: target.token }))
  requests.push(get('/graphql?query={__typename}', { Authorization: `Bearer ${target.token}` }))
  let next = 0
  await attack.keepOpen(8, (socket) => attack.converse(socket, () => requests[next++ % requests.length]))
}

/** A client with the token of one account, which has hundreds of keys or, where the name says so, thousands. */
export const customers = [
  {
    name: 'nodes of 100 ids with aliases, 4 at once',
    prepare: nodesRequest,
    run: (attack, request) => attack.keepOpen(4, (socket) => attack.converse(socket, () => request)),
  },
  {
    name: 'pages of 100 keys with aliases, 16 at once',
    prepare: pagesRequest,
    run: (attack, request) => attack.keepOpen(16, (socket) => attack.converse(socket, () => request)),
  },
  {
    name: '300 connections that read no answers',
    prepare: pagesRequest,
    run: (attack, request) =>
      attack.keepOpen(300, (socket) => attack.stream(socket, () => request), { reads: false }),
  },
  { name: '100 sockets with 100 subscriptions, read', run: subscriptions(true) },
  { name: '100 sockets with 100 subscriptions, unread', run: subscriptions(false) },
  {
    name: '10,000 keys, 100 subscribers, notes changed',
    prepare: (target) => idsOf(target, target.largeToken),
    run: largeAccount,
  },
  {
    name: 'keys added, removed and changed without end',
    prepare: (target) => idsOf(target, target.token),
    run: changes,
  },
  { name: 'queries without end, 64 at once', run: demand },
  { name: 'queries without end, on 50 sockets', run: demandOverWebSockets },
  {
    name: 'bodies of 1 MB held on 64 connections, with a token',
    run: heldBodies(({ token }) => ({ Authorization: `Bearer ${token}` })),
  },
  { name: 'messages of 1 MB held on 100 sockets', run: heldMessages },
  { name: 'messages of 16,000 fragments held on 100 sockets', run: heldFragments },
  { name: 'long names, quoted texts and invalid variables', run: badRequests },
]
