import type { Pool } from 'pg'
import type { Access, AccessRestrictions } from '../domain/access.ts'
import { canBeApiCallName } from '../domain/catalogue.ts'
import type { ApiKeyStore } from '../domain/key-store.ts'
import type { TenantScope } from '../domain/principal.ts'
import type { Prisma, PrismaClient } from '../generated/prisma/client.ts'
import {
  type AddApiKeyRow,
  addApiKeyStatement,
  type FindApiKeyRow,
  findApiKeyStatement,
  type RegenerateApiKeyRow,
  regenerateApiKeyStatement,
  type SetApiKeyAccessRow,
  type SetApiKeyExpiryRow,
  setApiKeyAccessStatement,
  setApiKeyExpiryStatement,
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
    { id, digest, sealedSecret, start, note, access, restrictions = {}, createdAt },
    mostPerHour,
  ) => {
    const { expiresAt = null, monthlyCallLimit = null, rateLimit } = restrictions
    const { rows } = await this.#pool.query<AddApiKeyRow>(addApiKeyStatement, [
      ...[accountId, id, digest, sealedSecret, start, note],
      ...[access.mode, namesOf(access), createdAt, mostPerHour],
      ...[expiresAt, monthlyCallLimit, rateLimit?.calls ?? null, rateLimit?.perSeconds ?? null],
      ...restrictionValues(restrictions),
    ])
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

  replaceSecret: ApiKeyStore['replaceSecret'] = async (
    scope,
    apiKeyId,
    { digest, sealedSecret, start },
    at,
    overlapUntil,
  ) => {
    if (scope === 'no account') return { outcome: 'no key' }
    const { rows } = await this.#pool.query<RegenerateApiKeyRow>(regenerateApiKeyStatement, [
      ...[apiKeyId, accountWithin(scope), digest, sealedSecret, start, at, overlapUntil],
    ])
    const row = rows[0] as RegenerateApiKeyRow
    switch (row.outcome) {
      case 'regenerated':
        return { outcome: row.outcome, accountId: row.of_account }
      case 'beyond expiry':
        return { outcome: row.outcome, expiresAt: row.key_expires_at }
      default:
        return { outcome: row.outcome }
    }
  }

  revokePreviousSecret: ApiKeyStore['revokePreviousSecret'] = (scope, apiKeyId) =>
    this.#update(scope, apiKeyId, noPreviousSecret)

  setNote: ApiKeyStore['setNote'] = (scope, apiKeyId, note) => this.#update(scope, apiKeyId, { note })

  setEnabled: ApiKeyStore['setEnabled'] = (scope, apiKeyId, enabled) =>
    this.#update(scope, apiKeyId, { enabled })

  setExpiry: ApiKeyStore['setExpiry'] = async (scope, apiKeyId, expiresAt) => {
    if (scope === 'no account') return null
    const values = [apiKeyId, accountWithin(scope), expiresAt]
    const { rows } = await this.#pool.query<SetApiKeyExpiryRow>(setApiKeyExpiryStatement, values)
    return rows[0]?.of_account ?? null
  }

  setLimits: ApiKeyStore['setLimits'] = (scope, apiKeyId, { monthlyCallLimit, rateLimit }) =>
    this.#update(scope, apiKeyId, {
      ...(monthlyCallLimit === undefined ? {} : { monthlyCallLimit }),
      ...(rateLimit === undefined
        ? {}
        : { rateCalls: rateLimit?.calls ?? null, ratePerSeconds: rateLimit?.perSeconds ?? null }),
    })

  setAccess: ApiKeyStore['setAccess'] = async (scope, apiKeyId, access, restrictions) => {
    if (scope === 'no account') return { outcome: 'no key' }
    const { rows } = await this.#pool.query<SetApiKeyAccessRow>(setApiKeyAccessStatement, [
      ...[apiKeyId, accountWithin(scope), access.mode, namesOf(access)],
      ...restrictionValues(restrictions),
    ])
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
    this.#update(scope, apiKeyId, { digest: null, sealedSecret: null, removedAt: at, ...noPreviousSecret })

  find: ApiKeyStore['find'] = async (digest, at) => {
    const { rows } = await this.#pool.query<FindApiKeyRow>(findApiKeyStatement, [digest, at])
    const [row] = rows
    if (!row) return null
    return {
      apiKeyId: row.of_key,
      accountId: row.of_account,
      previousSecret: row.previous_secret,
      enabled: row.enabled,
      expiresAt: row.expires_at,
      accountSuspended: row.suspended,
    }
  }

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

const noPreviousSecret = { previousDigest: null, previousSecretExpiresAt: null }

function within(scope: TenantScope, apiKeyId: string): Prisma.ApiKeyWhereInput {
  if (scope === 'no account') return { id: { in: [] } }
  return {
    id: apiKeyId,
    removedAt: null,
    ...(scope === 'every account' ? {} : { accountId: scope.accountId }),
  }
}

/** The account that a key must belong to, or null for any. */
function accountWithin(scope: Exclude<TenantScope, 'no account'>): string | null {
  return scope === 'every account' ? null : scope.accountId
}

/** Networks, and pairs of types and ids of resources. Null stays as it is, an empty list is no restriction. */
function restrictionValues({ allowedNetworks, resources }: AccessRestrictions) {
  const pairs = resources?.flatMap(({ type, ids }) => (ids ?? ['']).map((id) => [type, id]))
  return [allowedNetworks ?? null, pairs?.map(([type]) => type) ?? null, pairs?.map(([, id]) => id) ?? null]
}

/**
 * The names that a restricted key is to have. PostgreSQL rejects some texts that cannot be a name; they are sent as
 * the empty name, which no API call has.
 */
export function namesOf(access: Access): string[] {
  if (access.mode === 'FULL') return []
  return access.apiCalls.map((name) => (canBeApiCallName(name) ? name : ''))
}

function namesAt(access: Access, positions: readonly number[]): string[] {
  if (access.mode === 'FULL') return []
  return positions.flatMap((position) => access.apiCalls[position - 1] ?? [])
}
