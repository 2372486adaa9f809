import { z } from 'zod'
import type { LiveUsageEvent } from '../domain/live-usage/account-hub.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { idOf } from './global-id.ts'
import { accountIdWithinReach } from './reach.ts'
import { AccountUsage, ApiKeyUsage } from './usage.ts'

const LiveUsage = builder.objectRef<LiveUsageEvent>('LiveUsage').implement({
  description: 'What has changed since the event before.',
  fields: (t) => ({
    month: t.expose('month', { type: 'Month', description: 'The month that the counts are of.' }),
    snapshot: t.exposeBoolean('snapshot', {
      description:
        'true: apiKeys is the whole list, so drop what is not on it (sent first, and after a key is added, removed or changed, and when a month begins).',
    }),
    account: t.field({
      type: AccountUsage,
      description: 'The account’s month so far.',
      resolve: ({ month, account }) => ({ month, ...account }),
    }),
    apiKeys: t.field({
      type: [ApiKeyUsage],
      description: 'Every key in a snapshot; else those whose count has changed.',
      resolve: ({ month, apiKeys }) =>
        apiKeys.map(({ apiKeyId, calls, lastCallAt }) => ({
          apiKeyId,
          month,
          calls,
          lastCallAt: lastCallAt === null ? null : new Date(lastCallAt),
        })),
    }),
  }),
})

const mostApiKeyIds = 1_000

builder.subscriptionField('liveUsage', (t) =>
  t.field({
    type: LiveUsage,
    description:
      'Call counts as they happen: first one event with every key (snapshot: true), then the keys whose count changed.',
    authScopes: { scope: 'keys:read' },
    args: {
      apiKeyIds: t.arg.idList({
        validate: z.array(z.any()).max(mostApiKeyIds, `At most ${mostApiKeyIds} ids.`).nullish(),
        description: 'Only these keys; ids that are out of reach are passed over. Every key when left out.',
      }),
      accountId: t.arg.id({ description: 'For operators: the id of the account to watch.' }),
    },
    subscribe: (_root, { apiKeyIds, accountId }, context) =>
      context.liveUsage.watch({
        accountId: watchedAccountId(accountId, context),
        apiKeyIds: apiKeyIds ? new Set(apiKeyIds.map((id) => idOf('ApiKey', id))) : undefined,
        until: context.principal?.expiresAt,
      }),
    resolve: (event) => event,
  }),
)

/** A subscription has no result union to say NotFound in, so it is told as a bad input. */
function watchedAccountId(accountId: string | null | undefined, context: Context): string {
  try {
    return accountIdWithinReach(context, accountId)
  } catch (error) {
    if (error instanceof NotFoundError)
      throw new InvalidInputError([{ path: ['accountId'], message: error.message }])
    throw error
  }
}
