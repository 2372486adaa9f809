import type { Access } from '../domain/access.ts'
import { canBeApiCallName } from '../domain/catalogue.ts'
import type { ApiKeyStore, NewApiKey, StoredSecret } from '../domain/keys.ts'
import type { Reach } from '../domain/principal.ts'
import type { Prisma, PrismaClient } from '../generated/prisma/client.ts'

type Transaction = Prisma.TransactionClient

/** Keys in PostgreSQL. Every write names the reach in its `where`, so that none can touch another account's key. */
export class SqlApiKeyStore implements ApiKeyStore {
  readonly #prisma: PrismaClient

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  add: ApiKeyStore['add'] = (accountId, key) =>
    this.#prisma.$transaction(async (tx) => {
      // Adds to one account take turns, so that none counts keys while another is about to add one. Metering
      // takes no lock on this row that this would wait for.
      await tx.$queryRaw`select from account where id = ${accountId}::uuid for no key update`
      const account = await tx.account.findUnique({ where: { id: accountId }, select: { plan: true } })
      if (!account) return { outcome: 'no account' }
      const { id: planId, maxApiKeys: limit } = account.plan
      if ((await tx.apiKey.count({ where: { accountId, removedAt: null } })) >= limit)
        return { outcome: 'limit reached', limit, planId }
      const apiCalls = await apiCallsOf(tx, key.access)
      if ('names' in apiCalls) return { outcome: 'unknown API calls', names: apiCalls.names }
      await insertApiKey(tx, accountId, key, apiCalls.ids)
      return { outcome: 'added' }
    })

  replaceSecret: ApiKeyStore['replaceSecret'] = (reach, apiKeyId, secret, at) =>
    this.#update(reach, apiKeyId, { ...columnsOf(secret), regeneratedAt: at })

  setNote: ApiKeyStore['setNote'] = (reach, apiKeyId, note) => this.#update(reach, apiKeyId, { note })

  setAccess: ApiKeyStore['setAccess'] = async (reach, apiKeyId, access) => {
    try {
      return await this.#prisma.$transaction((tx) => setAccessWithin(tx, reach, apiKeyId, access))
    } catch (error) {
      if (error instanceof UnknownApiCalls) return { outcome: 'unknown API calls', names: error.names }
      throw error
    }
  }

  remove: ApiKeyStore['remove'] = (reach, apiKeyId, at) =>
    this.#update(reach, apiKeyId, { digest: null, sealedSecret: null, removedAt: at })

  async #update(
    reach: Reach,
    apiKeyId: string,
    data: Prisma.ApiKeyUpdateManyMutationInput,
  ): Promise<string | null> {
    const [key] = await this.#prisma.apiKey.updateManyAndReturn({
      where: within(reach, apiKeyId),
      data,
      select: { accountId: true },
    })
    return key?.accountId ?? null
  }
}

async function setAccessWithin(
  tx: Transaction,
  reach: Reach,
  apiKeyId: string,
  access: Access,
): ReturnType<ApiKeyStore['setAccess']> {
  // The key is written first: that locks it, so that two changes of its access cannot mix.
  const [key] = await tx.apiKey.updateManyAndReturn({
    where: within(reach, apiKeyId),
    data: { accessMode: access.mode },
    select: { accountId: true },
  })
  if (!key) return { outcome: 'no key' }
  const apiCalls = await apiCallsOf(tx, access)
  if ('names' in apiCalls) throw new UnknownApiCalls(apiCalls.names)
  await tx.apiKeyApiCall.deleteMany({ where: { apiKeyId } })
  await tx.apiKeyApiCall.createMany({ data: apiCalls.ids.map((apiCallId) => ({ apiKeyId, apiCallId })) })
  return { outcome: 'set', accountId: key.accountId }
}

/** Takes back a transaction that has already written. */
class UnknownApiCalls extends Error {
  readonly names: string[]

  constructor(names: string[]) {
    super('unknown API calls')
    this.names = names
  }
}

function within(reach: Reach, apiKeyId: string): Prisma.ApiKeyWhereInput {
  if (reach === 'no account') return { id: { in: [] } }
  return {
    id: apiKeyId,
    removedAt: null,
    ...(reach === 'every account' ? {} : { accountId: reach.accountId }),
  }
}

/** The ids of the API calls that a restricted key is to have, or the names that the catalogue does not know. */
async function apiCallsOf(tx: Transaction, access: Access): Promise<{ ids: string[] } | { names: string[] }> {
  if (access.mode === 'FULL' || access.apiCalls.length === 0) return { ids: [] }
  const found = await tx.apiCall.findMany({
    // The database would refuse some texts that cannot be a name instead of not finding them.
    where: { name: { in: access.apiCalls.filter(canBeApiCallName) } },
    select: { id: true, name: true },
  })
  const known = new Set(found.map(({ name }) => name))
  const names = access.apiCalls.filter((name) => !known.has(name))
  return names.length > 0 ? { names } : { ids: found.map(({ id }) => id) }
}

/** Stores a key as it is, without asking whether the plan allows it. */
export async function insertApiKey(
  tx: Transaction,
  accountId: string,
  { id, note, access, createdAt, ...secret }: NewApiKey,
  apiCallIds: readonly string[],
): Promise<void> {
  await tx.apiKey.create({
    data: {
      id,
      accountId,
      note,
      createdAt,
      accessMode: access.mode,
      ...columnsOf(secret),
      apiCalls: { createMany: { data: apiCallIds.map((apiCallId) => ({ apiCallId })) } },
    },
  })
}

function columnsOf({ digest, sealedSecret, start }: StoredSecret) {
  return { digest: new Uint8Array(digest), sealedSecret, start }
}
