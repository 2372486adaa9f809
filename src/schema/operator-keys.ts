import { z } from 'zod'
import { accessOf, restrictionsOf } from '../domain/access.ts'
import { expiryRule, noteRule } from '../domain/keys.ts'
import { digestRule, importedStartRule, leakSourceRule } from '../domain/operator-keys.ts'
import { externalIdRule } from '../domain/text.ts'
import { InvalidInputError } from '../errors.ts'
import { keyLimits, listLimits, statementCost } from '../limits.ts'
import { ApiKeyAccessInput } from './api-key-access.ts'
import { builder } from './builder.ts'
import { everApiKeysInScope } from './tenant-scope.ts'

const { importedApiKeys, leakedSecrets } = listLimits

const ImportedApiKeyInput = builder.inputType('ImportedApiKeyInput', {
  description: 'A key that was issued elsewhere.',
  fields: (t) => ({
    accountExternalId: t.string({
      required: true,
      validate: externalIdRule,
      description: 'The SaaS’s own id for the customer whose key it is. The account must exist.',
    }),
    digest: t.string({
      required: true,
      validate: digestRule,
      description:
        'The SHA-256 of the whole secret as its callers send it, as 64 hexadecimal digits. The secret has from 16 to 256 printable ASCII characters.',
    }),
    start: t.string({
      required: true,
      validate: importedStartRule,
      description: `The first characters of the secret, which the page shows: up to ${keyLimits.importedStartLength}, enough to recognise it, not enough to use it.`,
    }),
    note: t.string({
      validate: noteRule.nullish(),
      description: 'One line of up to 200 characters. Null or blank means no note.',
    }),
    access: t.field({
      type: ApiKeyAccessInput,
      description: 'What the key may call, touch and be used from; everything if left out.',
    }),
    createdAt: t.field({
      type: 'DateTime',
      validate: expiryRule.nullish(),
      description: 'When the key was issued; now if null or left out.',
    }),
    expiresAt: t.field({
      type: 'DateTime',
      validate: expiryRule.nullish(),
      description: 'From then on every call is refused; never if null or left out.',
    }),
  }),
})

const ImportApiKeysInput = builder.inputType('ImportApiKeysInput', {
  description: 'The keys to import.',
  fields: (t) => ({
    apiKeys: t.field({
      type: [ImportedApiKeyInput],
      required: true,
      validate: z.array(z.any()).max(importedApiKeys, `At most ${importedApiKeys} keys.`),
      description: `Up to ${importedApiKeys.toLocaleString('en')} keys, each once.`,
    }),
  }),
})

/** A payload with keys. */
function apiKeysPayload<Payload extends { apiKeyIds: readonly string[] }>(
  name: string,
  description: string,
  ofTheKeys: string,
) {
  const payload = builder.objectRef<Payload>(name).implement({ description })
  builder.objectField(payload, 'apiKeys', (t) =>
    t.prismaField({
      type: ['ApiKey'],
      description: ofTheKeys,
      // Of any number of keys the same: operators alone see these.
      complexity: { field: 1, multiplier: listLimits.pageRows },
      resolve: async (query, { apiKeyIds }, _args, context) => {
        const keys = await context.prisma.apiKey.findMany({
          ...query,
          where: { id: { in: [...apiKeyIds] }, ...everApiKeysInScope(context) },
        })
        const places = new Map(apiKeyIds.map((id, place) => [id, place]))
        const placeOf = ({ id }: { id: string }) => places.get(id) ?? 0
        return keys.sort((one, other) => placeOf(one) - placeOf(other))
      },
    }),
  )
  return payload
}

const ImportApiKeysPayload = apiKeysPayload<{ apiKeyIds: string[]; added: number }>(
  'ImportApiKeysPayload',
  'All of the keys are there.',
  'The keys in the order of the input. One that was imported earlier is as it has become since.',
)
builder.objectField(ImportApiKeysPayload, 'imported', (t) =>
  t.exposeInt('added', { description: 'How many of them are new; the others had been imported earlier.' }),
)

builder.mutationField('importApiKeys', (t) =>
  t.field({
    type: ImportApiKeysPayload,
    description:
      'Import keys that were issued elsewhere, by the SHA-256 of their secrets: all of them, or none if one is refused. They go on working as they are, even if the plan allows fewer. A key that was imported into the same account earlier is left as it is, even if it has been removed or has a new secret since. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError], union: { name: 'ImportApiKeysResult' } },
    args: {
      input: t.arg({ type: ImportApiKeysInput, required: true, description: 'The keys to import.' }),
    },
    resolve: (_root, { input }, { operatorKeys }) =>
      operatorKeys.import(
        input.apiKeys.map(({ access, note, ...key }) => ({
          ...key,
          note: note || null,
          access: access ? accessOf(access) : { mode: 'FULL' },
          restrictions: access ? restrictionsOf(access) : {},
        })),
      ),
  }),
)

const ReportLeakedApiKeysInput = builder.inputType('ReportLeakedApiKeysInput', {
  description: 'Secrets that were found in the open.',
  fields: (t) => ({
    secrets: t.stringList({
      required: true,
      validate: z.array(z.any()).max(leakedSecrets, `At most ${leakedSecrets} secrets.`),
      description: `Up to ${leakedSecrets.toLocaleString('en')} whole secrets.`,
    }),
    source: t.string({
      required: true,
      validate: leakSourceRule,
      description: `Where they were found, for the log: up to ${keyLimits.leakSourceLength} characters.`,
    }),
  }),
})

builder.mutationField('reportLeakedApiKeys', (t) =>
  t.field({
    type: apiKeysPayload<{ apiKeyIds: string[] }>(
      'ReportLeakedApiKeysPayload',
      'The keys whose secrets were reported are disabled.',
      'The keys that have the reported secrets, all of which are disabled now.',
    ),
    description:
      'Report secrets that were found in the open. Their keys are disabled: every call that begins after this mutation returns is refused (KEY_DISABLED). A replaced secret that still works disables its key, too. Texts that are no key’s secret are passed over. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    args: {
      input: t.arg({
        type: ReportLeakedApiKeysInput,
        required: true,
        description: 'Secrets that were found in the open.',
      }),
    },
    resolve: async (_root, { input }, { operatorKeys }) => ({
      apiKeyIds: await operatorKeys.reportLeaked(input.secrets, input.source),
    }),
  }),
)
