import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databasesInTurn, startApp, type TestApp } from '../support/app.ts'
import { type Customer, createCustomer } from '../support/customer.ts'
import type { ImportedApiKeyInput } from '../support/generated/graphql.ts'
import {
  ImportApiKeys,
  RegenerateApiKey,
  RemoveAccount,
  RemoveApiKey,
  ReportLeakedApiKeys,
} from '../support/operations.ts'
import { LiveUsageWatcher } from '../support/websocket.ts'

const digestOf = (secret: string) => createHash('sha256').update(secret).digest('hex')
const newSecret = () => `sk-live ${randomBytes(12).toString('hex')}`

describe.each(databasesInTurn)('operators and keys on %s:', (database) => {
  let app: TestApp
  let as: string
  let customer: Customer
  beforeAll(async () => {
    app = await startApp({ database })
    as = await app.token({ scopes: ['admin'] })
    customer = await createCustomer(app, { maxApiKeys: 2 })
  })
  afterAll(() => app.stop())

  const importKeys = async (apiKeys: ImportedApiKeyInput[]) =>
    (await app.query(ImportApiKeys, { as, variables: { apiKeys } })).data.importApiKeys
  const report = async (secrets: string[], source = 'a public repository') =>
    (await app.query(ReportLeakedApiKeys, { as, variables: { secrets, source } })).data.reportLeakedApiKeys
  const row = (secret: string, more: Partial<ImportedApiKeyInput> = {}): ImportedApiKeyInput => ({
    ...{ accountExternalId: customer.externalId, digest: digestOf(secret), start: secret.slice(0, 10) },
    ...more,
  })
  const allKeys = () => app.sql('select * from api_key order by id')
  const later = (ms: number) => new Date(app.clock.now().getTime() + ms).toISOString()

  async function snapshotAfter(change: () => Promise<unknown>) {
    const watcher = new LiveUsageWatcher(app, customer.token)
    await watcher.until(({ events }) => events.at(-1)?.complete === true)
    const before = watcher.events.length
    await change()
    await watcher.until(({ events }) => events.length > before)
    await watcher.close()
    return watcher.events[before]
  }

  describe('importApiKeys', () => {
    it('adds keys with everything that is known of them, beyond what the plan allows', async () => {
      const expiresAt = later(60_000)
      const apiKeys = [
        row(newSecret(), { note: 'First', createdAt: '2020-02-03T04:05:06.000Z', expiresAt }),
        row(newSecret(), {
          digest: digestOf(newSecret()).toUpperCase(),
          access: {
            ...{ mode: 'RESTRICTED', apiCalls: ['v3.ping', 'v3.account.limits'] },
            resources: [{ type: 'uptime-monitor', ids: ['1', '2'] }, { type: 'status-page' }],
            allowedNetworks: ['192.0.2.77/24', '::ffff:198.51.100.1'],
          },
        }),
        row(newSecret(), { note: ' ', access: { mode: 'FULL', allResources: true } }),
      ]
      const mutation = `mutation ($apiKeys: [ImportedApiKeyInput!]!) { importApiKeys(input: { apiKeys: $apiKeys }) {
        ... on ImportApiKeysPayload { imported apiKeys {
          start note createdAt expiresAt enabled secret account { externalId }
          access { mode apiCalls { name } resources { type ids } allowedNetworks }
        } } } }`
      const { data } = await app.query(mutation, { as, variables: { apiKeys } })
      const common = { account: { externalId: customer.externalId }, enabled: true, secret: null }
      const full = { mode: 'FULL', apiCalls: [], resources: null, allowedNetworks: [] }
      expect(data).toEqual({
        importApiKeys: {
          imported: 3,
          apiKeys: [
            {
              ...common,
              ...{ start: apiKeys[0]?.start, note: 'First', access: full },
              ...{ createdAt: '2020-02-03T04:05:06.000Z', expiresAt },
            },
            {
              ...common,
              ...{ start: apiKeys[1]?.start, note: null, createdAt: expect.any(String), expiresAt: null },
              access: {
                mode: 'RESTRICTED',
                apiCalls: [{ name: 'v3.ping' }, { name: 'v3.account.limits' }],
                resources: [
                  { type: 'status-page', ids: null },
                  { type: 'uptime-monitor', ids: ['1', '2'] },
                ],
                allowedNetworks: ['192.0.2.0/24', '198.51.100.1/32'],
              },
            },
            {
              ...common,
              ...{ start: apiKeys[2]?.start, note: null, access: full },
              ...{ createdAt: expect.any(String), expiresAt: null },
            },
          ],
        },
      })
    })

    it('changes nothing when it is repeated, and imports what is new beside what is not', async () => {
      const apiKeys = [row(newSecret(), { note: 'Old' }), row(newSecret())]
      expect(await importKeys(apiKeys)).toMatchObject({ imported: 2 })
      const before = await allKeys()
      const repeated = apiKeys.map((key) => ({ ...key, note: 'New', digest: key.digest.toUpperCase() }))
      expect(await importKeys(repeated)).toMatchObject({
        imported: 0,
        apiKeys: [{ note: 'Old' }, { note: null }],
      })
      expect(await allKeys()).toEqual(before)
      const added = row(newSecret(), { note: 'Added' })
      expect(await importKeys([added, ...apiKeys])).toMatchObject({
        ...{ imported: 1, apiKeys: [{ note: 'Added' }, { note: 'Old' }, { note: null }] },
      })
    })

    it('brings back no secret of a key that was removed or re-generated since', async () => {
      const [removed, regenerated] = [newSecret(), newSecret()]
      const apiKeys = [row(removed, { note: 'removed' }), row(regenerated, { note: 'regenerated' })]
      await importKeys(apiKeys)
      const { apiKeys: list } = await customer.account()
      const idOf = (note: string) => list.nodes.find((key) => key.note === note)?.id ?? ''
      await app.query(RemoveApiKey, { as, variables: { id: idOf('removed') } })
      await app.query(RegenerateApiKey, { as, variables: { id: idOf('regenerated') } })
      const before = await allKeys()
      expect(await importKeys(apiKeys)).toMatchObject({ imported: 0 })
      expect(await allKeys()).toEqual(before)
    })

    it('makes each key once, however many servers import the same ones at once in whatever order', async () => {
      const apiKeys = Array.from({ length: 50 }, () => row(newSecret()))
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, i) => importKeys(i % 2 ? apiKeys : apiKeys.toReversed())),
      )
      const imported = results.map((result) => ('imported' in result ? result.imported : Number.NaN))
      expect(imported.reduce((sum, count) => sum + count)).toBe(50)
      const digests = apiKeys.map(({ digest }) => `'\\x${digest}'`)
      expect(await app.sql(`select from api_key where digest in (${digests})`)).toHaveLength(50)
    })

    it('gives a digest to one account only, if two ask for it at once', async () => {
      const other = await createCustomer(app, {})
      const secrets = Array.from({ length: 20 }, newSecret)
      const results = await Promise.all(
        secrets.flatMap((secret) => [
          importKeys([row(secret)]),
          importKeys([row(secret, { accountExternalId: other.externalId })]),
        ]),
      )
      expect(results.filter(({ __typename }) => __typename === 'ImportApiKeysPayload')).toHaveLength(20)
      for (const result of results.filter((one) => 'issues' in one))
        expect(result).toMatchObject({ issues: [{ path: ['input', 'apiKeys', '0', 'digest'] }] })
    })

    it('refuses digests of keys that were not imported, or were imported into another account', async () => {
      const other = await createCustomer(app, {})
      const [imported, regenerated] = [newSecret(), await other.addApiKey()]
      await importKeys([row(imported, { accountExternalId: other.externalId })])
      await app.services.keys.regenerate('every account', await idOfKey(regenerated.secret), 60)
      const before = await allKeys()
      const own = { accountExternalId: other.externalId }
      const { secret: issued } = await other.addApiKey()
      const result = await importKeys([
        row(newSecret()),
        row(imported),
        row(issued, own),
        row(regenerated.secret, own),
      ])
      expect(result).toMatchObject({
        __typename: 'InvalidInput',
        issues: [1, 2, 3].map((i) => ({ path: ['input', 'apiKeys', String(i), 'digest'] })),
      })
      expect(await allKeys()).toHaveLength(before.length + 1)
    })

    const idOfKey = async (secret: string) =>
      (await app.sql<{ id: string }>(`select id from api_key where digest = '\\x${digestOf(secret)}'`))[0]
        ?.id ?? ''

    const longSecret = 'sk-live-0123456789abcdef'
    it.each<[string, Partial<ImportedApiKeyInput>, string[]]>([
      ['an unknown account', { accountExternalId: 'nobody' }, ['accountExternalId']],
      ['an account with NUL', { accountExternalId: '\u0000' }, ['accountExternalId']],
      ['63 digits', { digest: 'a'.repeat(63) }, ['digest']],
      ['65 digits', { digest: 'a'.repeat(65) }, ['digest']],
      ['base64', { digest: `${'A'.repeat(43)}=` }, ['digest']],
      ['an empty start', { start: ' ' }, ['start']],
      ['a start of 33 characters', { start: 'x'.repeat(33) }, ['start']],
      ['the whole secret as its start', { start: longSecret, digest: digestOf(longSecret) }, ['start']],
      ['NUL in the note', { note: '\u0000' }, ['note']],
      ['an expiry in the past', { expiresAt: '2020-01-01T00:00:00Z' }, ['expiresAt']],
      ['an expiry before 1970', { expiresAt: '1969-12-31T23:59:59Z' }, ['expiresAt']],
      ['a future time of creation', { createdAt: '9999-01-01T00:00:00Z' }, ['createdAt']],
      ['a creation before 1970', { createdAt: '1969-12-31T23:59:59Z' }, ['createdAt']],
      [
        'an unknown API call',
        { access: { mode: 'RESTRICTED', apiCalls: ['v3.ping', 'nope'] } },
        ['access', 'apiCalls'],
      ],
      [
        'an API call with NUL',
        { access: { mode: 'RESTRICTED', apiCalls: ['\u0000'] } },
        ['access', 'apiCalls'],
      ],
      ['FULL access with a list', { access: { mode: 'FULL', apiCalls: [] } }, ['access', 'apiCalls']],
      [
        'an invalid network',
        { access: { mode: 'FULL', allowedNetworks: ['10.0.0.0/33'] } },
        ['access', 'allowedNetworks', '0'],
      ],
    ])('imports none of a list with %s, and names the row and field', async (_what, change, path) => {
      const before = await allKeys()
      expect(await importKeys([row(newSecret()), row(newSecret(), change)])).toMatchObject({
        __typename: 'InvalidInput',
        issues: [{ path: ['input', 'apiKeys', '1', ...path] }],
      })
      expect(await allKeys()).toEqual(before)
    })

    it('refuses a digest that is on the list twice', async () => {
      const twice = row(newSecret())
      expect(await importKeys([twice, { ...twice, digest: twice.digest.toUpperCase() }])).toMatchObject({
        issues: [{ path: ['input', 'apiKeys', '1', 'digest'] }],
      })
    })

    it('takes 1,000 keys with their access, and no more', async () => {
      const access = { mode: 'RESTRICTED' as const, apiCalls: ['v3.ping', 'v3.account.limits'] }
      const restrictions = {
        allowedNetworks: ['10.0.0.0/8', '192.0.2.0/24'],
        resources: [{ type: 'x', ids: ['1'] }],
      }
      const apiKeys = Array.from({ length: 1_000 }, () =>
        row(newSecret(), {
          note: 'x',
          createdAt: later(-1),
          expiresAt: later(60_000),
          access: { ...access, ...restrictions },
        }),
      )
      expect(await importKeys(apiKeys)).toMatchObject({ imported: 1_000 })
      expect(await importKeys([...apiKeys, row(newSecret())])).toMatchObject({
        issues: [{ path: ['input', 'apiKeys'] }],
      })
    })

    it('takes an empty list', async () => {
      expect(await importKeys([])).toMatchObject({ imported: 0, apiKeys: [] })
    })

    it('sends watchers a fresh snapshot with the new keys', async () => {
      const event = await snapshotAfter(() => importKeys([row(newSecret())]))
      expect(event).toMatchObject({ snapshot: true })
    })

    it('forgets the digests of an account that is removed', async () => {
      const leaving = await createCustomer(app, {})
      const apiKeys = [row(newSecret(), { accountExternalId: leaving.externalId })]
      await importKeys(apiKeys)
      await app.query(RemoveAccount, { as, variables: { externalId: leaving.externalId } })
      await leaving.account()
      expect(await importKeys(apiKeys)).toMatchObject({ imported: 1 })
    })
  })

  describe('reportLeakedApiKeys', () => {
    it('disables keys by their present, imported and replaced secrets, and passes over all else', async () => {
      const owner = await createCustomer(app, {})
      const [present, replaced, spared] = [
        await owner.addApiKey(),
        await owner.addApiKey(),
        await owner.addApiKey(),
      ]
      const rowId = async (secret: string) => (await app.services.keys.describe(secret))?.apiKeyId ?? ''
      await app.services.keys.regenerate('every account', await rowId(replaced.secret), 60)
      const ended = await owner.addApiKey()
      await app.services.keys.regenerate('every account', await rowId(ended.secret))
      const imported = newSecret()
      await importKeys([row(imported, { accountExternalId: owner.externalId })])
      const others = ['', '\u0000', 'x'.repeat(10_000), 'lk_malformed', newSecret(), ended.secret]
      const { apiKeys } = await report([present.secret, replaced.secret, imported, present.secret, ...others])
      expect(apiKeys).toHaveLength(3)
      expect(apiKeys.map(({ enabled }) => enabled)).toEqual([false, false, false])
      const standing = async (secret: string) => (await app.services.keys.describe(secret))?.code
      for (const secret of [present.secret, replaced.secret, imported])
        expect(await standing(secret)).toBe('KEY_DISABLED')
      expect(await standing(spared.secret)).toBe('ADMITTED')
    })

    it('keeps the time of the first report', async () => {
      const { secret, apiKey } = await (await createCustomer(app, {})).addApiKey()
      const leakedAt = async () =>
        (await app.sql(`select leaked_at from api_key where digest = '\\x${digestOf(secret)}'`))[0]
      await report([secret])
      const first = await leakedAt()
      app.clock.set(new Date(app.clock.now().getTime() + 1_000))
      expect(await report([secret])).toMatchObject({ apiKeys: [{ id: apiKey.id }] })
      expect(await leakedAt()).toEqual(first)
    })

    it('succeeds when many reports name the same keys at once', async () => {
      const owner = await createCustomer(app, { maxApiKeys: 30 })
      const secrets: string[] = []
      for (let i = 0; i < 20; i++) secrets.push((await owner.addApiKey()).secret)
      const reports = await Promise.all(
        Array.from({ length: 8 }, (_, i) => report(i % 2 ? secrets : secrets.toReversed())),
      )
      expect(reports.map(({ apiKeys }) => apiKeys.length)).toEqual(Array(8).fill(20))
    })

    it('sends watchers a fresh snapshot', async () => {
      const secret = newSecret()
      await importKeys([row(secret)])
      expect(await snapshotAfter(() => report([secret]))).toMatchObject({ snapshot: true })
    })

    it.each([
      [Array(1_001).fill('x'), 'somewhere', 'secrets'],
      [[], ' ', 'source'],
      [[], 'x'.repeat(201), 'source'],
    ])('refuses bad input as a whole', async (secrets, source, field) => {
      const { errors } = await app.query(ReportLeakedApiKeys, { as, variables: { secrets, source } })
      expect(errors).toMatchObject([
        { extensions: { code: 'BAD_USER_INPUT', issues: [{ path: ['input', field] }] } },
      ])
    })
  })

  it('only operators may', async () => {
    for (const [document, variables] of [
      [ImportApiKeys, { apiKeys: [] }],
      [ReportLeakedApiKeys, { secrets: [], source: 'x' }],
    ] as const) {
      const { errors } = await app.query<unknown, unknown>(document as never, {
        as: customer.token,
        variables,
      })
      expect(errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
    }
  })
})
