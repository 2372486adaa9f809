import { z } from 'zod'
import type { LiveUsageEvent } from '../domain/live-usage/count-list.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { fixedLimits, listLimits } from '../limits.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { idOf } from './global-id.ts'
import { eventWeightOf } from './subscription-cost.ts'
import { accountIdInScope } from './tenant-scope.ts'
import { AccountUsage, ApiKeyUsage } from './usage.ts'

const { apiKeysPerEvent, fieldsPerTurn } = fixedLimits

const LiveUsage = builder.objectRef<LiveUsageEvent>('LiveUsage').implement({
  description: 'What changed since the previous event.',
  fields: (t) => ({
    month: t.expose('month', { type: 'Month', description: 'The month of the counts.' }),
    snapshot: t.exposeBoolean('snapshot', {
      description:
        'True if apiKeys is the whole list, or its beginning: drop keys that are not on it. The first event is a snapshot, and so are those after a key was added, removed or changed, and at the start of a month.',
    }),
    complete: t.exposeBoolean('complete', {
      description: `False if the list is longer than the ${apiKeysPerEvent} keys of an event: the next events continue it, with snapshot: false, until one has complete: true.`,
    }),
    account: t.field({
      type: AccountUsage,
      description: 'The account’s usage in the month.',
      resolve: ({ month, account }) => ({ month, ...account }),
    }),
    apiKeys: t.field({
      type: [ApiKeyUsage],
      description: `Every key in a snapshot, otherwise the keys whose count changed; at most ${apiKeysPerEvent} in one event, in the order of their ids.`,
      complexity: { field: 1, multiplier: apiKeysPerEvent },
      // The turn of the event covers them.
      extensions: { fieldsInTurn: fieldsPerTurn },
      resolve: (event) =>
        event.apiKeys.map(({ apiKeyId, calls, lastCallAt, limit }) => ({
          apiKeyId,
          month: event.month,
          calls,
          limit,
          lastCallAt: lastCallAt === null ? null : new Date(lastCallAt),
          event,
        })),
    }),
  }),
})

const { watchedApiKeys } = listLimits

builder.subscriptionField('liveUsage', (t) =>
  t.field({
    type: LiveUsage,
    description: `Call counts as they happen: first every key (snapshot: true), then the keys whose count changed. Lists of more than ${apiKeysPerEvent} keys take several events. To assemble the counts, forget all keys at snapshot: true, then set the count of each key of this event and the following ones.`,
    authScopes: { scope: 'keys:read' },
    args: {
      apiKeyIds: t.arg.idList({
        validate: z.array(z.any()).max(watchedApiKeys, `At most ${watchedApiKeys} ids.`).nullish(),
        description: 'Only these keys; every key if left out. Ids of other accounts’ keys are ignored.',
      }),
      accountId: t.arg.id({
        description: 'For operators: the account to watch. Customers watch their own and leave it out.',
      }),
    },
    subscribe: (_root, { apiKeyIds, accountId }, context, info) => {
      const { perApiKey, besides } = eventWeightOf(context, info)
      return context.liveUsage.watch({
        accountId: watchedAccountId(accountId, context),
        apiKeyIds: apiKeyIds ? new Set(apiKeyIds.map((id) => idOf('ApiKey', id))) : undefined,
        until: context.principal?.expiresAt,
        turn: (apiKeys) => context.share.turn(besides + Math.min(apiKeys * perApiKey, fieldsPerTurn)),
      })
    },
    resolve: (event) => event,
  }),
)

/** A subscription has no result union for NotFound, so that becomes an invalid input. */
function watchedAccountId(accountId: string | null | undefined, context: Context): string {
  try {
    return accountIdInScope(context, accountId)
  } catch (error) {
    if (error instanceof NotFoundError)
      throw new InvalidInputError([{ path: ['accountId'], message: error.message }])
    throw error
  }
}
