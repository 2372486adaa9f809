import type { Pool } from 'pg'
import type { Access } from '../domain/access.ts'
import { canBeApiCallName } from '../domain/catalogue.ts'
import type { ApiKeyStore } from '../domain/keys.ts'
import type { TenantScope } from '../domain/principal.ts'
import type { Prisma, PrismaClient } from '../generated/prisma/client.ts'
import {
  type AddApiKeyRow,
  addApiKeyStatement,
  type SetApiKeyAccessRow,
  setApiKeyAccessStatement,
} from './sql/api-keys.ts'

/** Keys in PostgreSQL. Every write is limited to the tenant scope in its own `where`. */
export class SqlApiKeyStore implements ApiKeyStore {
  readonly #prisma: PrismaClient
  readonly #pool: Pool

  constructor(prisma: PrismaClient, pool: Pool) {
    this.#prisma = prisma
    this.#pool = pool
  }

  add: ApiKeyStore['add'] = async (
    accountId,
    { id, digest, sealedSecret, start, note, access, createdAt },
    mostPerHour,
  ) => {
    const secret = [digest, sealedSecret, start]
    const values = [accountId, id, ...secret, note, access.mode, namesOf(access), createdAt, mostPerHour]
    const { rows } = await this.#pool.query<AddApiKeyRow>(addApiKeyStatement, values)
    const row = rows[0] as AddApiKeyRow
    switch (row.outcome) {
      case 'limit reached':
        return { outcome: row.outcome, limit: row.key_limit, planId: row.limiting_plan }
      case 'too many additions':
        return { outcome: row.outcome, nextAdditionAt: row.next_addition_at }
      case 'unknown API calls':
        return { outcome: row.outcome, names: namesAt(access, row.unknown_positions) }
      default:
        return { outcome: row.outcome }
    }
  }

  replaceSecret: ApiKeyStore['replaceSecret'] = (scope, apiKeyId, { digest, sealedSecret, start }, at) =>
    this.#update(scope, apiKeyId, {
      digest: new Uint8Array(digest),
      sealedSecret,
      start,
      regeneratedAt: at,
    })

  setNote: ApiKeyStore['setNote'] = (scope, apiKeyId, note) => this.#update(scope, apiKeyId, { note })

  setAccess: ApiKeyStore['setAccess'] = async (scope, apiKeyId, access) => {
    if (scope === 'no account') return { outcome: 'no key' }
    const accountId = scope === 'every account' ? null : scope.accountId
    const values = [apiKeyId, accountId, access.mode, namesOf(access)]
    const { rows } = await this.#pool.query<SetApiKeyAccessRow>(setApiKeyAccessStatement, values)
    const row = rows[0] as SetApiKeyAccessRow
    switch (row.outcome) {
      case 'set':
        return { outcome: row.outcome, accountId: row.of_account }
      case 'unknown API calls':
        return { outcome: row.outcome, names: namesAt(access, row.unknown_positions) }
      default:
        return { outcome: row.outcome }
    }
  }

  remove: ApiKeyStore['remove'] = (scope, apiKeyId, at) =>
    this.#update(scope, apiKeyId, { digest: null, sealedSecret: null, removedAt: at })

  async #update(
    scope: TenantScope,
    apiKeyId: string,
    data: Prisma.ApiKeyUpdateManyMutationInput,
  ): Promise<string | null> {
    const [key] = await this.#prisma.apiKey.updateManyAndReturn({
      where: within(scope, apiKeyId),
      data,
      select: { accountId: true },
    })
    return key?.accountId ?? null
  }
}

function within(scope: TenantScope, apiKeyId: string): Prisma.ApiKeyWhereInput {
  if (scope === 'no account') return { id: { in: [] } }
  return {
    id: apiKeyId,
    removedAt: null,
    ...(scope === 'every account' ? {} : { accountId: scope.accountId }),
  }
}

/**
 * The names that a restricted key is to have. PostgreSQL rejects some texts that cannot be a name; they are sent as
 * the empty name, which no API call has.
 */
function namesOf(access: Access): string[] {
  if (access.mode === 'FULL') return []
  return access.apiCalls.map((name) => (canBeApiCallName(name) ? name : ''))
}

function namesAt(access: Access, positions: readonly number[]): string[] {
  if (access.mode === 'FULL') return []
  return positions.flatMap((position) => access.apiCalls[position - 1] ?? [])
}
