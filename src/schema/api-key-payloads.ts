import { statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { everApiKeysInScope } from './tenant-scope.ts'

/** A payload with the changed key, read again with what the operation selects of it. */
export function apiKeyPayload<Payload extends { apiKeyId: string }>(name: string, description: string) {
  const payload = builder.objectRef<Payload>(name).implement({ description })
  builder.objectField(payload, 'apiKey', (t) =>
    t.prismaField({
      type: 'ApiKey',
      description: 'The key after the change.',
      complexity: statementCost,
      // It may have been removed since by another request.
      resolve: (query, { apiKeyId }, _args, context) =>
        context.prisma.apiKey.findUniqueOrThrow({
          ...query,
          where: { id: apiKeyId, ...everApiKeysInScope(context) },
        }),
    }),
  )
  return payload
}

/** The same with the key's new secret. */
export function issuedApiKeyPayload(name: string, description: string) {
  const payload = apiKeyPayload<{ apiKeyId: string; secret: string }>(name, description)
  builder.objectField(payload, 'secret', (t) =>
    t.exposeString('secret', {
      description: 'The whole secret. Unless the server keeps secrets recoverable, it cannot be shown again.',
    }),
  )
  return payload
}

/** The description of every `id` that names the key to change. */
export const keyIdDescription = 'The id of the key.'
