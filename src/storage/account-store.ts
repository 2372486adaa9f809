import type { Pool } from 'pg'
import type { AccountStore } from '../domain/accounts.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { retryingConflicts } from './retry.ts'
import { type CreateAccountRow, createAccountStatement } from './sql/create-account.ts'
import { type SaveAccountsRow, saveAccountsStatement } from './sql/save-accounts.ts'
import { updateAccountStatement } from './sql/update-account.ts'

/** Keys that are removed with their account in one transaction. An account with more is removed in several. */
const keysRemovedAtOnce = 500

/** Accounts in PostgreSQL. */
export class SqlAccountStore implements AccountStore {
  readonly #prisma: PrismaClient
  readonly #pool: Pool

  constructor(prisma: PrismaClient, pool: Pool) {
    this.#prisma = prisma
    this.#pool = pool
  }

  find: AccountStore['find'] = async (externalId) => {
    // Not `findUnique`: Prisma would join those of all customers into one statement, and one would fail them all.
    const account = await this.#prisma.account.findFirst({ where: { externalId }, select: { id: true } })
    return account?.id ?? null
  }

  create: AccountStore['create'] = async (id, { externalId, name, plan }, firstKey, createdAt) => {
    const key = firstKey
      ? [
          firstKey.id,
          firstKey.digest,
          firstKey.sealedSecret,
          firstKey.start,
          firstKey.note,
          firstKey.access.mode,
        ]
      : [null, null, null, null, null, null]
    const values = [id, externalId, name, plan, createdAt, ...key]
    const [row] = await this.#query<CreateAccountRow>(createAccountStatement, values)
    if (!row?.plan_exists) return { outcome: 'no plan' }
    return row.created ? { outcome: 'created', withKey: row.key_created } : { outcome: 'exists' }
  }

  update: AccountStore['update'] = async ({ externalId, name, plan }) => {
    const [row] = await this.#query<{ id: string }>(updateAccountStatement, [externalId, name, plan])
    return row?.id ?? null
  }

  saveAll: AccountStore['saveAll'] = async (accounts, createdAt) => {
    const list = <Value>(read: (account: (typeof accounts)[number]) => Value) => accounts.map(read)
    const rows = await this.#query<SaveAccountsRow>(saveAccountsStatement, [
      list(({ id }) => id),
      list(({ externalId }) => externalId),
      list(({ name }) => name),
      list(({ plan }) => plan),
      createdAt,
      list(({ firstKey }) => firstKey.id),
      list(({ firstKey }) => firstKey.digest),
      list(({ firstKey }) => firstKey.sealedSecret),
      list(({ firstKey }) => firstKey.start),
    ])
    const unknownPlans = rows.flatMap(({ plan_exists }, index) => (plan_exists ? [] : [index]))
    if (unknownPlans.length > 0) return { outcome: 'unknown plans', at: unknownPlans }
    return {
      outcome: 'saved',
      accounts: rows.map(({ id, created, key_created }) => ({
        accountId: id as string,
        created: created === true,
        withKey: key_created,
      })),
    }
  }

  setSuspended: AccountStore['setSuspended'] = async (externalId, suspended) => {
    const { rows } = await this.#pool.query<{ id: string }>(
      'update account set suspended = $2 where external_id = $1 returning id',
      [externalId, suspended],
    )
    return rows[0]?.id ?? null
  }

  remove: AccountStore['remove'] = async (externalId) => {
    // From here on its calls are refused, and lock nothing that is being removed.
    const accountId = await this.setSuspended(externalId, true)
    if (accountId === null) return null
    const removeSome = {
      name: 'latchkey-remove-account',
      text: 'select latchkey_remove_account($1, $2) as removed',
    }
    for (;;) {
      const [row] = await this.#query<{ removed: boolean }>(removeSome, [accountId, keysRemovedAtOnce])
      if (row?.removed) return accountId
    }
  }

  /** A plan may be removed while accounts are put on it, and calls be charged while their account is removed. */
  async #query<Row extends object>(
    statement: { name: string; text: string },
    values: unknown[],
  ): Promise<Row[]> {
    const { rows } = await retryingConflicts(() => this.#pool.query<Row>(statement, values))
    return rows
  }
}
