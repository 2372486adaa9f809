import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createStorage, startApp, type TestApp, type TestStorage } from '../support/app.ts'
import { RemoveAccount } from '../support/operations.ts'

const meter = `mutation ($calls: [MeterApiCallInput!]!) {
  meterApiCalls(input: { calls: $calls }) { decisions { code accountExternalId } }
}`

interface Metered {
  meterApiCalls: { decisions: { code: string; accountExternalId: string | null }[] }
}

describe.runIf(inject('postgres'))('removing accounts while calls are being counted', () => {
  let storage: TestStorage
  let apps: TestApp[]

  beforeAll(async () => {
    storage = await createStorage('PostgreSQL')
    apps = [await startApp({ storage }), await startApp({ storage })]
  })
  afterAll(async () => {
    for (const app of apps) await app.stop()
    await storage.drop()
  })

  it('fails no call, and counts those of other accounts exactly', async () => {
    const [first, second] = apps as [TestApp, TestApp]
    const { accounts, catalogue } = first.services
    const plan = { maxApiKeys: 10, monthlyCallQuota: null }
    await catalogue.savePlan({ ...plan, slug: 'plain', name: 'Plain' })
    await catalogue.savePlan({
      ...{ ...plan, slug: 'limited', name: 'Limited' },
      rateLimit: { calls: 1_000_000, perSeconds: 1 },
    })
    const namesOf = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i}`)
    const [staying, leaving] = [namesOf('staying', 4), namesOf('leaving', 40)]
    const list = [...staying, ...leaving].map((externalId, i) => ({
      ...{ externalId, name: externalId, plan: i % 2 ? 'limited' : 'plain' },
    }))
    const secrets = (await accounts.saveAll(list)).map(({ firstSecret }) => firstSecret ?? '')

    let left = leaving.length
    const token = await first.token({ scopes: ['calls:meter'] })
    const admitted = new Map<string, number>()
    const meterUntilAllHaveLeft = async (app: TestApp, gateway: number) => {
      for (let round = 0; left > 0; round++) {
        const calls = secrets.map((secret, i) => ({
          ...{ secret, apiCall: 'v3.ping' },
          // Some are counted by their ids.
          ...(i % 5 === 0 ? { requestId: `${gateway}/${round}/${i}` } : {}),
        }))
        const { data, errors } = await app.query<Metered, object>(meter, { as: token, variables: { calls } })
        expect(errors).toBeUndefined()
        for (const { code, accountExternalId } of data.meterApiCalls.decisions) {
          expect(['ADMITTED', 'ACCOUNT_SUSPENDED', 'KEY_INVALID']).toContain(code)
          if (code !== 'ADMITTED' || accountExternalId === null) continue
          admitted.set(accountExternalId, (admitted.get(accountExternalId) ?? 0) + 1)
        }
      }
    }
    const operator = await first.token({ scopes: ['admin'] })
    const remove = async (app: TestApp, externalId: string) => {
      const variables = { externalId }
      const { data } = await app.query(RemoveAccount, { as: operator, variables }).finally(() => left--)
      expect(data.removeAccount.__typename).toBe('RemoveAccountPayload')
    }
    const removeInTurn = async (app: TestApp, externalIds: string[]) => {
      for (const externalId of externalIds) await remove(app, externalId)
    }
    await Promise.all([
      ...[first, second, first, second].map(meterUntilAllHaveLeft),
      removeInTurn(first, leaving.slice(0, 20)),
      removeInTurn(second, leaving.slice(20)),
    ])

    const counted = await first.sql<{ external_id: string; calls: bigint }>(`
      select external_id, sum(calls) as calls from account_usage join account on account.id = account_id
      group by external_id order by external_id`)
    expect(counted.map(({ external_id, calls }) => [external_id, Number(calls)])).toEqual(
      staying.map((externalId) => [externalId, admitted.get(externalId)]),
    )
    for (const table of ['account', 'api_key', 'api_key_usage'])
      expect([table, await first.sql(`select from ${table}`)]).toMatchObject([table, { length: 4 }])
  })
})
