import type { AccountStore } from '../domain/accounts.ts'
import type { CatalogueStore } from '../domain/catalogue.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { insertApiKey } from './key-store.ts'

/** Accounts, plans and the catalogue in PostgreSQL. */
export class SqlAccountStore implements AccountStore, CatalogueStore {
  readonly #prisma: PrismaClient

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  find: AccountStore['find'] = async (externalId) => {
    const account = await this.#prisma.account.findUnique({ where: { externalId }, select: { id: true } })
    return account?.id ?? null
  }

  create: AccountStore['create'] = (id, { externalId, name, plan: slug }, firstKey, createdAt) =>
    this.#prisma.$transaction(async (tx) => {
      const plan = await tx.plan.findUnique({ where: { slug } })
      if (!plan) return null
      const { count } = await tx.account.createMany({
        data: { id, externalId, name, planId: plan.id, createdAt },
        skipDuplicates: true,
      })
      if (count === 0) {
        const existing = await tx.account.findUniqueOrThrow({ where: { externalId }, select: { id: true } })
        return { id: existing.id, created: false }
      }
      if (plan.maxApiKeys > 0) await insertApiKey(tx, id, firstKey, [])
      return { id, created: true }
    })

  update: AccountStore['update'] = (account) =>
    this.#prisma.$transaction(async (tx) => {
      const plan = await tx.plan.findUnique({ where: { slug: account.plan }, select: { id: true } })
      if (!plan) return null
      const [updated] = await tx.account.updateManyAndReturn({
        where: { externalId: account.externalId },
        data: { name: account.name, planId: plan.id },
        select: { id: true },
      })
      return updated?.id ?? null
    })

  savePlan: CatalogueStore['savePlan'] = async (
    id,
    { slug, name, maxApiKeys, monthlyCallQuota },
    createdAt,
  ) => {
    const values = {
      name,
      maxApiKeys,
      monthlyCallQuota: monthlyCallQuota === null ? null : BigInt(monthlyCallQuota),
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
