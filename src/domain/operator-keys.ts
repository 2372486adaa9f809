import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { type InputIssue, InvalidInputError } from '../errors.ts'
import { keyLimits } from '../limits.ts'
import type { Access, AccessRestrictions } from './access.ts'
import { digestOf, mayBeSecret } from './secret.ts'
import { lineOfText } from './text.ts'

/** The SHA-256 of a secret, as 64 hexadecimal digits. */
export const digestRule = z
  .string()
  .regex(/^[0-9a-f]{64}$/i, 'The SHA-256 of the secret, as 64 hexadecimal digits.')
  .transform((digits) => digits.toLowerCase())

/** What is shown of an imported secret. */
export const importedStartRule = lineOfText(1, keyLimits.importedStartLength)

/** Where leaked secrets were found. */
export const leakSourceRule = lineOfText(1, keyLimits.leakSourceLength)

/** A key that was issued elsewhere, as an operator describes it. Each value has passed its rule. */
export interface ForeignApiKey {
  accountExternalId: string
  digest: string
  start: string
  note: string | null
  access: Access
  restrictions: AccessRestrictions
  /** When it was issued there; now, if left out. */
  createdAt?: Date | null | undefined
  expiresAt?: Date | null | undefined
}

/** The same, as it is to be stored. */
export interface ImportedApiKey extends ForeignApiKey {
  id: string
  createdAt: Date
  expiresAt: Date | null
}

/** Why a key cannot be imported; `index` is its place in the list, from 0. */
export type ImportProblem =
  | { index: number; reason: 'no account' | 'other account' | 'other key' | 'expired' }
  | { index: number; reason: 'unknown API call'; apiCall: string }

export interface OperatorKeyStore {
  /**
   * Adds keys, all or none. Whose digest was imported into the same account before is left as it is, whatever has become
   * of it since. Exact even if other servers import the same keys at the same time.
   */
  import(
    keys: readonly ImportedApiKey[],
    at: Date,
  ): Promise<
    /** The key of each row, in order, and the accounts to which keys were added. */
    | { outcome: 'imported'; apiKeyIds: string[]; added: number; accountIds: string[] }
    | { outcome: 'refused'; problems: ImportProblem[] }
  >
  /** Disables the keys that have these secrets, the replaced ones included that still work. Returns them. */
  disableLeaked(digests: readonly Uint8Array[], at: Date): Promise<{ apiKeyId: string; accountId: string }[]>
}

export interface OperatorKeysOptions {
  store: OperatorKeyStore
  clock: Clock
  /** The prefix of new secrets. */
  prefix: string
  /** Called after each committed change of an account's keys. */
  changed: (accountId: string) => void
  /** Called after leaked keys were disabled. */
  leaked: (source: string, apiKeyIds: readonly string[]) => void
}

/** What operators do with the keys of many accounts at once. */
export class OperatorKeys {
  readonly #store: OperatorKeyStore
  readonly #clock: Clock
  readonly #prefix: string
  readonly #changed: OperatorKeysOptions['changed']
  readonly #leaked: OperatorKeysOptions['leaked']

  constructor({ store, clock, prefix, changed, leaked }: OperatorKeysOptions) {
    this.#store = store
    this.#clock = clock
    this.#prefix = prefix
    this.#changed = changed
    this.#leaked = leaked
  }

  /**
   * Imports keys that exist already, all or none; their secrets go on working as they are. Neither the plan's number of
   * keys nor the limit on additions applies: the keys are in use, and refusing them would break their callers.
   * Repeating an import changes nothing.
   * @returns the key of each row, in order, and how many are new
   * @throws InvalidInputError (names every row that is at fault)
   */
  async import(keys: readonly ForeignApiKey[]): Promise<{ apiKeyIds: string[]; added: number }> {
    const at = this.#clock.now()
    const issues = [...issuesIn(keys, at)]
    if (issues.length > 0) throw new InvalidInputError(issues)
    const stored = keys.map((key) => ({
      ...key,
      id: uuidv7(),
      createdAt: key.createdAt ?? at,
      expiresAt: key.expiresAt ?? null,
    }))
    const result = await this.#store.import(stored, at)
    if (result.outcome === 'refused')
      throw new InvalidInputError(result.problems.map((problem) => issueOf(problem, keys)))
    for (const accountId of result.accountIds) this.#changed(accountId)
    return { apiKeyIds: result.apiKeyIds, added: result.added }
  }

  /**
   * Disables the keys whose secrets were found in the open, at once. Texts that are no key's secret are passed over.
   * Returns the keys.
   */
  async reportLeaked(secrets: readonly string[], source: string): Promise<string[]> {
    const digests = [...new Set(secrets)].filter((text) => mayBeSecret(text, this.#prefix)).map(digestOf)
    const disabled = digests.length > 0 ? await this.#store.disableLeaked(digests, this.#clock.now()) : []
    const apiKeyIds = disabled.map(({ apiKeyId }) => apiKeyId)
    for (const accountId of new Set(disabled.map((key) => key.accountId))) this.#changed(accountId)
    if (apiKeyIds.length > 0) this.#leaked(source, apiKeyIds)
    return apiKeyIds
  }
}

/** What is wrong with rows whatever is stored. */
function* issuesIn(keys: readonly ForeignApiKey[], at: Date): Generator<InputIssue> {
  const seen = new Set<string>()
  for (const [index, { digest, start, createdAt }] of keys.entries()) {
    if (seen.has(digest)) yield issueAt(index, ['digest'], 'This digest is on the list already.')
    seen.add(digest)
    if (digestOf(start).toString('hex') === digest)
      yield issueAt(index, ['start'], 'This is the whole secret. Give only enough of it to recognise it.')
    if (createdAt && createdAt > at) yield issueAt(index, ['createdAt'], 'It must not be in the future.')
  }
}

function issueOf(problem: ImportProblem, keys: readonly ForeignApiKey[]): InputIssue {
  const { index, reason } = problem
  switch (reason) {
    case 'no account': {
      const externalId = JSON.stringify(keys[index]?.accountExternalId)
      return issueAt(index, ['accountExternalId'], `There is no account with the external id ${externalId}.`)
    }
    case 'other account':
      return issueAt(index, ['digest'], 'A key of another account was imported with this digest.')
    case 'other key':
      return issueAt(index, ['digest'], 'This is the digest of another key’s secret.')
    case 'expired':
      return issueAt(index, ['expiresAt'], 'It must be in the future.')
    case 'unknown API call':
      return issueAt(
        index,
        ['access', 'apiCalls'],
        `The catalogue has no API call named ${JSON.stringify(problem.apiCall)}.`,
      )
  }
}

function issueAt(index: number, field: string[], message: string): InputIssue {
  return { path: ['input', 'apiKeys', String(index), ...field], message }
}
