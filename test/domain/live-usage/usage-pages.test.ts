import { describe, expect, it } from 'vitest'
import {
  type KeyPage,
  type LiveUsageStore,
  readAllPages,
  type UsageSnapshot,
} from '../../../src/domain/live-usage/usage-pages.ts'
import { fixedLimits } from '../../../src/limits.ts'

const month = '2026-11'
const { rereadPageKeys } = fixedLimits
const idOf = (i: number) => String(i).padStart(6, '0')

/** A store in memory, which notes the pages that are read. */
class PagedStore implements LiveUsageStore {
  readonly keys: Set<string>
  readonly pages: KeyPage[] = []
  afterPage: (page: number) => void = () => {}

  constructor(count: number) {
    this.keys = new Set(Array.from({ length: count }, (_, i) => idOf(2 * i)))
  }

  async readUsage(_accountId: string, _month: string, page: KeyPage): Promise<UsageSnapshot> {
    this.pages.push(page)
    const ids = [...this.keys].sort().filter((id) => page.after === null || id > page.after)
    const apiKeys = ids
      .slice(0, page.most)
      .map((apiKeyId) => ({ apiKeyId, calls: 0, lastCallAt: null, limit: null }))
    this.afterPage(this.pages.length)
    return { account: { calls: this.pages.length, quota: null }, apiKeys }
  }
}

async function readAll(store: PagedStore) {
  const owners: string[] = []
  const usage = await readAllPages(
    store,
    (owner, run) => {
      owners.push(owner)
      return run()
    },
    'account',
    month,
  )
  return { owners, account: usage.account, ids: usage.apiKeys.map(({ apiKeyId }) => apiKeyId) }
}

describe('the keys of an account', () => {
  it.each([
    [0, 1],
    [rereadPageKeys - 1, 1],
    [rereadPageKeys, 2],
    [2 * rereadPageKeys + 1, 3],
  ])(
    'are read in bounded statements, each within the share of the account: %i',
    async (count, statements) => {
      const store = new PagedStore(count)
      const { owners, account, ids } = await readAll(store)
      expect(owners).toEqual(Array(statements).fill('account'))
      expect(ids).toEqual([...store.keys])
      expect(store.pages.every(({ most }) => most === rereadPageKeys)).toBe(true)
      expect(account.calls).toBe(statements)
    },
  )

  it('are each read once at most while keys are added and removed', async () => {
    const store = new PagedStore(3 * rereadPageKeys)
    store.afterPage = (page) => {
      store.keys.delete(idOf(2 * (page * rereadPageKeys - 1)))
      store.keys.delete(idOf(2 * page * rereadPageKeys))
      store.keys.add(idOf(1))
      store.keys.add(idOf(2 * 3 * rereadPageKeys - 1))
    }
    const { ids } = await readAll(store)
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids).toContain(idOf(2 * 3 * rereadPageKeys - 1))
  })
})
