import { gql } from '@urql/core'
import { type Cache, cacheExchange, type Resolver } from '@urql/exchange-graphcache'
import type {
  AddApiKeyMutation,
  LiveUsageSubscription,
  RegenerateApiKeyMutation,
  RemoveApiKeyMutation,
  SetApiKeyNoteMutationVariables,
} from '../generated/graphql.ts'

/** The page size of the list of keys. */
export const pageSize = 50

const embedded = () => null

/**
 * A normalised cache with one copy of every key and count, so that an answer or a live event updates it everywhere.
 */
export const createCache = () =>
  cacheExchange({
    keys: {
      ApiKeyUsage: ({ apiKeyId, month }) => `${apiKeyId}:${month}`,
      AccountUsage: ({ month }) => String(month),
      Viewer: embedded,
      AccountApiKeysConnection: embedded,
      PageInfo: embedded,
      ApiKeyAccess: embedded,
      LiveUsage: embedded,
      InputIssue: embedded,
      InvalidInput: embedded,
      NotFound: embedded,
      ApiKeyLimitReached: embedded,
      AddApiKeyPayload: embedded,
      RegenerateApiKeyPayload: embedded,
      RemoveApiKeyPayload: embedded,
      SetApiKeyNotePayload: embedded,
      ConfigureApiKeyAccessPayload: embedded,
    },
    possibleTypes: {
      AddApiKeyResult: ['AddApiKeyPayload', 'ApiKeyLimitReached', 'InvalidInput', 'NotFound'],
      RegenerateApiKeyResult: ['RegenerateApiKeyPayload', 'NotFound'],
      RemoveApiKeyResult: ['RemoveApiKeyPayload', 'NotFound'],
      SetApiKeyNoteResult: ['SetApiKeyNotePayload', 'InvalidInput', 'NotFound'],
      ConfigureApiKeyAccessResult: ['ConfigureApiKeyAccessPayload', 'InvalidInput', 'NotFound'],
    },
    resolvers: {
      ApiKeyUsage: { calls: neverLess() },
      AccountUsage: { calls: neverLess() },
    },
    optimistic: {
      setApiKeyNote: ({ input }) => {
        const { id, note } = input as SetApiKeyNoteMutationVariables
        return {
          __typename: 'SetApiKeyNotePayload',
          apiKey: { __typename: 'ApiKey', id, note: note || null },
        }
      },
    },
    updates: {
      Mutation: {
        addApiKey: ({ addApiKey }: AddApiKeyMutation, _args, cache) => {
          if (addApiKey.__typename === 'AddApiKeyPayload') append(cache, addApiKey.apiKey.id)
        },
        regenerateApiKey: ({ regenerateApiKey: result }: RegenerateApiKeyMutation, _args, cache) => {
          if (result.__typename === 'RegenerateApiKeyPayload')
            cache.invalidate({ __typename: 'ApiKey', id: result.apiKey.id }, 'secret')
        },
        removeApiKey: ({ removeApiKey: result }: RemoveApiKeyMutation, { input }, cache) => {
          if (result.__typename === 'RemoveApiKeyPayload') drop(cache, result.removedApiKeyId)
          // The key was removed elsewhere.
          else if (result.__typename === 'NotFound') drop(cache, (input as { id: string }).id)
        },
      },
      Subscription: {
        liveUsage: ({ liveUsage }: LiveUsageSubscription, _args, cache) => moveToMonth(cache, liveUsage),
      },
    },
  })

/** Counts only increase within a month, so an answer that a live event has overtaken changes nothing. */
function neverLess(): Resolver {
  const most = new Map<string, number>()
  return (_parent, _args, cache, { parentKey }) => {
    const calls = cache.resolve(parentKey, 'calls')
    if (typeof calls !== 'number') return undefined
    const highest = Math.max(calls, most.get(parentKey) ?? 0)
    most.set(parentKey, highest)
    return highest
  }
}

/** The cache stores an event's counts by itself. This makes the event's month the current one. */
function moveToMonth(cache: Cache, { month, apiKeys }: LiveUsageSubscription['liveUsage']): void {
  const account = accountKey(cache)
  if (account) cache.link(account, 'usage', { __typename: 'AccountUsage', month })
  for (const { apiKeyId, lastCallAt } of apiKeys) {
    const apiKey = { __typename: 'ApiKey', id: apiKeyId }
    cache.link(apiKey, 'usage', { __typename: 'ApiKeyUsage', apiKeyId, month })
    // In a new month the count is zero, but the time of the last call stays.
    if (lastCallAt) cache.writeFragment(lastCall, { id: apiKeyId, lastCallAt })
  }
}

const lastCall = gql`
  fragment LastCall on ApiKey {
    id
    lastCallAt
  }
`

function append(cache: Cache, id: string): void {
  for (const { connection, nodes, isSearch } of pages(cache)) {
    const pageInfo = cache.resolve(connection, 'pageInfo') as string | null
    const isLast = pageInfo && cache.resolve(pageInfo, 'hasNextPage') === false
    const apiKey = cache.keyOfEntity({ __typename: 'ApiKey', id })
    if (isLast && !isSearch && apiKey && !nodes.includes(apiKey))
      cache.link(connection, 'nodes', [...nodes, apiKey])
  }
}

function drop(cache: Cache, id: string): void {
  const apiKey = cache.keyOfEntity({ __typename: 'ApiKey', id })
  for (const { connection, nodes } of pages(cache)) {
    if (apiKey && nodes.includes(apiKey))
      cache.link(
        connection,
        'nodes',
        nodes.filter((node) => node !== apiKey),
      )
  }
}

/** Every fetched page of keys, with the cache keys of its rows. */
function pages(cache: Cache) {
  const account = accountKey(cache)
  if (!account) return []
  return cache.inspectFields(account).flatMap(({ fieldName, fieldKey, arguments: args }) => {
    if (fieldName !== 'apiKeys') return []
    const connection = cache.resolve(account, fieldKey) as string | null
    const nodes = connection && cache.resolve(connection, 'nodes')
    return connection && Array.isArray(nodes)
      ? [{ connection, nodes: nodes as string[], isSearch: Boolean(args?.search) }]
      : []
  })
}

function accountKey(cache: Cache): string | null {
  const viewer = cache.resolve('Query', 'viewer') as string | null
  return viewer ? (cache.resolve(viewer, 'account') as string | null) : null
}
