import { z } from 'zod'
import type { SavedAccount } from '../domain/accounts.ts'
import { externalIdRule, lineOfText } from '../domain/text.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { listLimits, statementCost } from '../limits.ts'
import { builder } from './builder.ts'
import { globalIdOf } from './global-id.ts'
import { accountInScope } from './tenant-scope.ts'

const { savedAccounts } = listLimits

const SaveAccountInput = builder.inputType('SaveAccountInput', {
  description: 'The account to create or change.',
  validate: z.object({ externalId: externalIdRule, name: lineOfText(1, 200), plan: z.string() }),
  fields: (t) => ({
    externalId: t.string({
      required: true,
      description:
        'The SaaS’s own id for the customer. An unknown one creates an account with its first key.',
    }),
    name: t.string({ required: true, description: 'The display name, up to 200 characters.' }),
    plan: t.string({
      required: true,
      description: 'The slug of the plan. A smaller plan removes no keys; it only stops new ones.',
    }),
  }),
})

/** A payload with the changed account, read again with what the operation selects of it. */
function accountPayload<Payload extends { accountId: string }>(name: string, description: string) {
  const payload = builder.objectRef<Payload>(name).implement({ description })
  builder.objectField(payload, 'account', (t) =>
    t.prismaField({
      type: 'Account',
      description: 'The account after the change.',
      complexity: statementCost,
      resolve: (query, { accountId }, _args, context) =>
        context.prisma.account.findUniqueOrThrow({ ...query, where: accountInScope(accountId, context) }),
    }),
  )
  return payload
}

const SaveAccountPayload = accountPayload<SavedAccount>('SaveAccountPayload', 'The account was saved.')
builder.objectField(SaveAccountPayload, 'firstSecret', (t) =>
  t.exposeString('firstSecret', {
    nullable: true,
    description:
      'The whole secret of the first key, if the account was created with one; else null. Unless the server keeps secrets recoverable, it cannot be shown again.',
  }),
)

builder.mutationField('saveAccount', (t) =>
  t.field({
    type: SaveAccountPayload,
    description: 'Create an account, or change its name and plan. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError], union: { name: 'SaveAccountResult' } },
    args: {
      input: t.arg({
        type: SaveAccountInput,
        required: true,
        description: 'The account to create or change.',
      }),
    },
    resolve: (_root, { input }, { accounts }) => accounts.save(input),
  }),
)

const SaveAccountsInput = builder.inputType('SaveAccountsInput', {
  description: 'The accounts to create or change.',
  fields: (t) => ({
    accounts: t.field({
      type: [SaveAccountInput],
      required: true,
      validate: z.array(z.any()).max(savedAccounts, `At most ${savedAccounts} accounts.`),
      description: `Up to ${savedAccounts.toLocaleString('en')} accounts, each once.`,
    }),
  }),
})

const SaveAccountsPayload = builder.objectRef<{ saved: SavedAccount[] }>('SaveAccountsPayload').implement({
  description: 'All of the accounts were saved.',
  fields: (t) => ({
    accounts: t.field({
      type: [SaveAccountPayload],
      description: 'The accounts in the order of the input, each with the secret of its first key.',
      // Of any number of accounts the same: operators alone save them.
      complexity: { field: 1, multiplier: listLimits.pageRows },
      resolve: ({ saved }) => saved,
    }),
  }),
})

builder.mutationField('saveAccounts', (t) =>
  t.field({
    type: SaveAccountsPayload,
    description:
      'Create many accounts, or change their names and plans: all of them, or none if one is refused. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError], union: { name: 'SaveAccountsResult' } },
    args: {
      input: t.arg({
        type: SaveAccountsInput,
        required: true,
        description: 'The accounts to create or change.',
      }),
    },
    resolve: async (_root, { input }, { accounts }) => ({ saved: await accounts.saveAll(input.accounts) }),
  }),
)

const SetAccountSuspendedInput = builder.inputType('SetAccountSuspendedInput', {
  description: 'The account, and whether it is to be suspended.',
  fields: (t) => ({
    externalId: t.string({
      required: true,
      validate: externalIdRule,
      description: 'The SaaS’s own id for the customer.',
    }),
    suspended: t.boolean({ required: true, description: 'Whether every call of its keys is refused.' }),
  }),
})

builder.mutationField('setAccountSuspended', (t) =>
  t.field({
    type: accountPayload('SetAccountSuspendedPayload', 'The account was suspended, or no longer is.'),
    description:
      'Suspend an account, or end that. Every call of a suspended account’s keys is refused; nothing else changes. Applies to every call that begins after this mutation returns. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'SetAccountSuspendedResult' } },
    args: {
      input: t.arg({
        type: SetAccountSuspendedInput,
        required: true,
        description: 'The account, and whether it is to be suspended.',
      }),
    },
    resolve: async (_root, { input }, { accounts }) => ({
      accountId: await accounts.setSuspended(input.externalId, input.suspended),
    }),
  }),
)

const RemoveAccountInput = builder.inputType('RemoveAccountInput', {
  description: 'The account to remove.',
  fields: (t) => ({
    externalId: t.string({
      required: true,
      validate: externalIdRule,
      description: 'The SaaS’s own id for the customer.',
    }),
  }),
})

const RemoveAccountPayload = builder.objectRef<{ accountId: string }>('RemoveAccountPayload').implement({
  description: 'The account was removed.',
  fields: (t) => ({
    removedAccountId: t.id({
      description: 'The id that the account had.',
      resolve: ({ accountId }) => globalIdOf('Account', accountId),
    }),
  }),
})

builder.mutationField('removeAccount', (t) =>
  t.field({
    type: RemoveAccountPayload,
    description:
      'Remove an account with its keys and usage, for good. Its keys are refused at once. A token that still names the account creates it anew. Operators only.',
    authScopes: { scope: 'admin' },
    complexity: statementCost,
    errors: { types: [InvalidInputError, NotFoundError], union: { name: 'RemoveAccountResult' } },
    args: {
      input: t.arg({ type: RemoveAccountInput, required: true, description: 'The account to remove.' }),
    },
    resolve: async (_root, { input }, { accounts }) => ({
      accountId: await accounts.remove(input.externalId),
    }),
  }),
)
