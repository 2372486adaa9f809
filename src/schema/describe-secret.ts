import type { DescribedApiKey } from '../domain/keys.ts'
import { statementCost } from '../limits.ts'
import { ApiCallDecisionCode } from './api-call-decision.ts'
import { ApiKeyAccess } from './api-key-access.ts'
import { builder } from './builder.ts'
import { meteringScope } from './scope-errors.ts'
import { describedAccountInScope, describedKeyInScope, grantedBySecret } from './tenant-scope.ts'

const SecretDescription = builder.objectRef<DescribedApiKey>('SecretDescription').implement({
  description: 'What a key is and may do.',
  fields: (t) => ({
    apiKey: t.prismaField({
      type: 'ApiKey',
      complexity: statementCost,
      description: 'The key. Of its account, only what this description holds can be read.',
      grantScopes: [grantedBySecret],
      resolve: (query, described, _args, { prisma }) =>
        prisma.apiKey.findUniqueOrThrow({ ...query, where: describedKeyInScope(described) }),
    }),
    previousSecret: t.exposeBoolean('previousSecret', {
      description:
        'Whether the secret is one that a re-generation replaced and that still works for a while.',
    }),
    code: t.expose('code', {
      type: ApiCallDecisionCode,
      description:
        'What a call would be told as far as that depends on the key and its account alone: KEY_DISABLED, KEY_EXPIRED, ACCOUNT_SUSPENDED, or ADMITTED if none of these stands in its way.',
    }),
    access: t.prismaField({
      type: ApiKeyAccess,
      complexity: statementCost,
      description: 'What the key may call and touch, and where it may be used from.',
      resolve: (query, described, _args, { prisma }) =>
        prisma.apiKey.findUniqueOrThrow({ ...query, where: describedKeyInScope(described) }),
    }),
    account: t.prismaField({
      type: 'Account',
      complexity: statementCost,
      description: 'The account that the key belongs to.',
      grantScopes: [grantedBySecret],
      resolve: (query, described, _args, { prisma }) =>
        prisma.account.findUniqueOrThrow({ ...query, where: describedAccountInScope(described) }),
    }),
  }),
})

builder.queryField('describeSecret', (t) =>
  t.field({
    type: SecretDescription,
    nullable: true,
    description:
      'What a key is and may do, without a call being counted; null if no key has this secret. For gateways (scope calls:meter). Send it with POST, so that the secret is not in a URL.',
    complexity: statementCost,
    authScopes: { scope: meteringScope },
    args: {
      secret: t.arg.string({
        required: true,
        description: 'The secret of the API key, as the caller sent it.',
      }),
    },
    resolve: (_root, { secret }, { keys, share }) => share.statement(() => keys.describe(secret)),
  }),
)
