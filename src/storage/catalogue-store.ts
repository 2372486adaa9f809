import type { Pool } from 'pg'
import type { ApiCallInput, CatalogueStore, Removal } from '../domain/catalogue.ts'
import type { RateLimit } from '../domain/rate-limit.ts'
import type { PrismaClient } from '../generated/prisma/client.ts'
import { retryingConflicts } from './retry.ts'
import {
  type RemovalRow,
  removeApiCallStatement,
  removePlanStatement,
  routeHolderStatement,
} from './sql/catalogue.ts'

/** Prisma's code for a value that must be unique and is not. */
const notUnique = 'P2002'

/** Plans and API calls in PostgreSQL. */
export class SqlCatalogueStore implements CatalogueStore {
  readonly #prisma: PrismaClient
  readonly #pool: Pool

  constructor(prisma: PrismaClient, pool: Pool) {
    this.#prisma = prisma
    this.#pool = pool
  }

  savePlan: CatalogueStore['savePlan'] = async (
    id,
    { slug, name, maxApiKeys, monthlyCallQuota, rateLimit, listed },
    createdAt,
  ) => {
    const values = {
      name,
      maxApiKeys,
      monthlyCallQuota: monthlyCallQuota === null ? null : BigInt(monthlyCallQuota),
      ...rateColumns(rateLimit),
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

  saveApiCall: CatalogueStore['saveApiCall'] = async (id, apiCall, createdAt) => {
    for (;;) {
      try {
        return { outcome: 'saved', apiCallId: await this.#upsertApiCall(id, apiCall, createdAt) }
      } catch (error) {
        if ((error as { code?: unknown }).code !== notUnique) throw error
        const { name, method, path } = apiCall
        const { rows } = await this.#pool.query<{ name: string }>(routeHolderStatement, [name, method, path])
        // None: another server was saving the same API call, or has removed the one that was in the way.
        if (rows[0]) return { outcome: 'route taken', by: rows[0].name }
      }
    }
  }

  async #upsertApiCall(id: string, apiCall: ApiCallInput, createdAt: Date): Promise<string> {
    const { name, title, category, kind, rateLimit, method, path, alwaysAllowed } = apiCall
    const values = {
      ...{ title, category, kind },
      ...rateColumns(rateLimit),
      ...(method === undefined ? {} : { method }),
      ...(path === undefined ? {} : { path }),
      ...(alwaysAllowed == null ? {} : { alwaysAllowed }),
    }
    const saved = await this.#prisma.apiCall.upsert({
      where: { name },
      create: { id, name, createdAt, ...values },
      update: values,
      select: { id: true },
    })
    return saved.id
  }

  removePlan: CatalogueStore['removePlan'] = (slug, mostNamed) =>
    this.#remove(removePlanStatement, slug, mostNamed)

  removeApiCall: CatalogueStore['removeApiCall'] = (name, mostNamed) =>
    this.#remove(removeApiCallStatement, name, mostNamed)

  async #remove(
    statement: { name: string; text: string },
    name: string,
    mostNamed: number,
  ): Promise<Removal> {
    const { rows } = await retryingConflicts(() => this.#pool.query<RemovalRow>(statement, [name, mostNamed]))
    const { outcome, removed, users } = rows[0] as RemovalRow
    switch (outcome) {
      case 'removed':
        return { outcome, id: removed }
      case 'in use':
        return { outcome, users: users.slice(0, mostNamed), more: users.length > mostNamed }
      case 'not found':
        return { outcome }
    }
  }
}

/** The columns of a rate limit; none if it is left out and stays as it is. */
function rateColumns(limit: RateLimit | null | undefined) {
  if (limit === undefined) return {}
  return { rateCalls: limit?.calls ?? null, ratePerSeconds: limit?.perSeconds ?? null }
}
