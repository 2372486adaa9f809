import type { Pool } from 'pg'
import type { AccountStore } from '../domain/accounts.ts'
import type { CatalogueStore } from '../domain/catalogue.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { type CreateAccountRow, createAccountStatement } from './sql/create-account.ts'
import { updateAccountStatement } from './sql/update-account.ts'

/** Accounts, plans and the catalogue in PostgreSQL. */
export class SqlAccountStore implements AccountStore, CatalogueStore {
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
    const { rows } = await this.#pool.query<CreateAccountRow>(createAccountStatement, [
      ...[id, externalId, name, plan, createdAt],
      ...key,
    ])
    const row = rows[0] as CreateAccountRow
    if (!row.plan_exists) return { outcome: 'no plan' }
    return row.created ? { outcome: 'created', withKey: row.key_created } : { outcome: 'exists' }
  }

  update: AccountStore['update'] = async ({ externalId, name, plan }) => {
    const { rows } = await this.#pool.query<{ id: string }>(updateAccountStatement, [externalId, name, plan])
    return rows[0]?.id ?? null
  }

  savePlan: CatalogueStore['savePlan'] = async (
    id,
    { slug, name, maxApiKeys, monthlyCallQuota, listed },
    createdAt,
  ) => {
    const values = {
      name,
      maxApiKeys,
      monthlyCallQuota: monthlyCallQuota === null ? null : BigInt(monthlyCallQuota),
      ...(listed == null ? {} : { listed }),
    }
    const plan = await this.#prisma.plan.upsert({
      where: { slug },
      create: { id, slug, createdAt, ...values },
      update: values,
      select: { id: true },
    })
    return plan.id
  }

  saveApiCall: CatalogueStore['saveApiCall'] = async (id, { name, title, category, kind }, createdAt) => {
    const values = { title, category, kind }
    const apiCall = await this.#prisma.apiCall.upsert({
      where: { name },
      create: { id, name, createdAt, ...values },
      update: values,
      select: { id: true },
    })
    return apiCall.id
  }
}
