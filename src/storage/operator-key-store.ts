import type { Pool } from 'pg'
import type { ImportedApiKey, ImportProblem, OperatorKeyStore } from '../domain/operator-keys.ts'
import { namesOf } from './key-store.ts'
import { retryingConflicts } from './retry.ts'
import {
  type DisableLeakedRow,
  disableLeakedStatement,
  type ImportApiKeysRow,
  importApiKeysStatement,
} from './sql/operator-keys.ts'

/** What operators do with keys, in PostgreSQL. */
export class SqlOperatorKeyStore implements OperatorKeyStore {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  import: OperatorKeyStore['import'] = async (keys, at) => {
    const values = [JSON.stringify(keys.map(asJson)), at]
    const { rows } = await retryingConflicts(() =>
      this.#pool.query<ImportApiKeysRow>(importApiKeysStatement, values),
    )
    const { problems, keys: apiKeyIds, added, accounts: accountIds } = rows[0] as ImportApiKeysRow
    if (problems === null) return { outcome: 'imported', apiKeyIds, added, accountIds }
    return { outcome: 'refused', problems: problems.map((problem) => problemFrom(problem, keys)) }
  }

  disableLeaked: OperatorKeyStore['disableLeaked'] = async (digests, at) => {
    const { rows } = await this.#pool.query<DisableLeakedRow>(disableLeakedStatement, [digests, at])
    return rows.map(({ id, account_id }) => ({ apiKeyId: id, accountId: account_id }))
  }
}

/** A key as the function takes it. */
function asJson(key: ImportedApiKey, position: number) {
  const { id, accountExternalId, digest, start, note, access, restrictions, createdAt, expiresAt } = key
  const { allowedNetworks = [], resources = [] } = restrictions
  return {
    ...{ position, id, account: accountExternalId, digest, start, note },
    ...{ mode: access.mode, apiCalls: namesOf(access), networks: allowedNetworks, createdAt, expiresAt },
    resources:
      resources.length === 0
        ? null
        : resources.flatMap(({ type, ids }) => (ids ?? ['']).map((resourceId) => ({ type, id: resourceId }))),
  }
}

function problemFrom(
  [index, reason, apiCall]: NonNullable<ImportApiKeysRow['problems']>[number],
  keys: readonly ImportedApiKey[],
): ImportProblem {
  if (reason !== 'unknown API call') return { index, reason }
  const access = keys[index]?.access
  const names = access?.mode === 'RESTRICTED' ? access.apiCalls : []
  return { index, reason, apiCall: names[(apiCall ?? 0) - 1] ?? '' }
}
