import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf, generateSecret, secretFrom } from '../../../src/domain/secret.ts'
import { databases, startApp, type TestApp } from '../../support/app.ts'
import { MeteredKeys } from '../../support/metered-keys.ts'

const apiCall = 'v3.ping'
const noon = new Date('2026-11-15T12:00:00.000Z')
const at = (ms: number) => new Date(noon.getTime() + ms)

describe.each(databases)('decisions on %s', (database) => {
  let app: TestApp
  let keys: MeteredKeys

  beforeAll(async () => {
    app = await startApp({ database })
    app.clock.set(noon)
    keys = new MeteredKeys(app)
  })
  afterAll(() => app.stop())

  const callsOf = async (id: string) =>
    Number((await app.services.prisma.apiKeyUsage.findFirst({ where: { apiKeyId: id } }))?.calls ?? 0)
  const suspend = (id: string, suspended: boolean) =>
    app.services.prisma.account.update({ where: { id }, data: { suspended } })

  it('tell the first reason in the order of the contract, and each stops once it is lifted', async () => {
    const { prisma } = app.services
    const accountId = await keys.account({ rateCalls: 1, ratePerSeconds: 60, monthlyCallQuota: 1 })
    const { id, secret } = await keys.key({
      ...{ accountId, enabled: false, expiresAt: at(-1), accessMode: 'RESTRICTED', monthlyCallLimit: 1 },
      ...{ allowedNetworks: ['192.0.2.0/24'], restrictsResources: true },
    })
    await suspend(accountId, true)
    const ping = await prisma.apiCall.findUniqueOrThrow({ where: { name: apiCall } })
    const unknown = () => keys.codeOf(secret, { apiCall: 'v3.no-such-call' })
    expect(await unknown()).toBe('KEY_DISABLED')
    await keys.change(id, { enabled: true })
    expect(await unknown()).toBe('KEY_EXPIRED')
    await keys.change(id, { expiresAt: at(60_000) })
    expect(await unknown()).toBe('ACCOUNT_SUSPENDED')
    await suspend(accountId, false)
    expect(await unknown()).toBe('API_CALL_UNKNOWN')
    expect(await keys.codeOf(secret)).toBe('ACCESS_DENIED')
    await prisma.apiKeyApiCall.create({ data: { apiKeyId: id, apiCallId: ping.id } })
    expect(await keys.codeOf(secret)).toBe('RESOURCE_DENIED')
    await prisma.apiKeyResource.create({ data: { apiKeyId: id, type: 'monitor', resourceId: '7' } })
    const resource = { type: 'monitor', id: '7' }
    expect(await keys.codeOf(secret, { resource })).toBe('NETWORK_DENIED')
    const clientIp = '192.0.2.7'
    const fine = { resource, clientIp }
    expect(await callsOf(id)).toBe(0)
    expect(await keys.codeOf(secret, { ...fine, requestId: 'one' })).toBe('ADMITTED')
    const other = { apiCall: 'v3.account.limits', requestId: 'one', ...fine }
    await keys.change(id, { accessMode: 'FULL' })
    expect(await keys.codeOf(secret, other)).toBe('REQUEST_ID_REUSED')
    expect(await keys.codeOf(secret, fine)).toBe('RATE_LIMITED')
    await prisma.plan.update({ where: { id: accountId }, data: { rateCalls: null, ratePerSeconds: null } })
    expect(await keys.codeOf(secret, fine)).toBe('KEY_LIMIT_EXCEEDED')
    await keys.change(id, { monthlyCallLimit: null })
    expect(await keys.codeOf(secret, fine)).toBe('QUOTA_EXCEEDED')
    expect(await callsOf(id)).toBe(1)
  })

  it('let a restricted key make calls that are always allowed', async () => {
    const { prisma } = app.services
    const { secret } = await keys.key({ accessMode: 'RESTRICTED' })
    const where = { name: apiCall }
    await prisma.apiCall.update({ where, data: { alwaysAllowed: true } })
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    await prisma.apiCall.update({ where, data: { alwaysAllowed: false } })
    expect(await keys.codeOf(secret)).toBe('ACCESS_DENIED')
  })

  it('end a key’s life at its expiry, to the millisecond', async () => {
    const { id, secret } = await keys.key({ expiresAt: at(3_600_000) })
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    await keys.change(id, { expiresAt: app.clock.now() })
    expect(await keys.codeOf(secret)).toBe('KEY_EXPIRED')
  })

  it('accept the previous secret until it expires, and tell that it is the previous one', async () => {
    const previous = generateSecret('lk')
    const { id, secret } = await keys.key({
      previousDigest: Buffer.from(digestOf(previous)),
      previousSecretExpiresAt: at(3_600_000),
    })
    expect(await keys.decide(previous)).toMatchObject({
      code: 'ADMITTED',
      apiKeyCalls: 1,
      previousSecret: true,
    })
    expect(await keys.decide(secret)).toMatchObject({
      code: 'ADMITTED',
      apiKeyCalls: 2,
      previousSecret: false,
    })
    await keys.change(id, { previousSecretExpiresAt: app.clock.now() })
    expect(await keys.codeOf(previous)).toBe('KEY_INVALID')
  })

  it('accept imported secrets of any form, and secrets with an earlier prefix', async () => {
    const imported = 'Imported secret, 16 to 256 characters~'
    const earlier = `old_${'0'.repeat(38)}`
    const longest = 'x'.repeat(256)
    for (const secret of [imported, earlier, longest]) await keys.key({ secret })
    for (const secret of [imported, earlier, longest]) expect(await keys.codeOf(secret)).toBe('ADMITTED')
  })

  it('reject secrets with the prefix by their checksum, even one that is stored', async () => {
    const wrong = `lk_${'0'.repeat(38)}`
    await keys.key({ secret: wrong })
    expect(await keys.codeOf(wrong)).toBe('KEY_INVALID')
    const right = secretFrom('lk', '0'.repeat(32))
    await keys.key({ secret: right })
    expect(await keys.codeOf(right)).toBe('ADMITTED')
  })

  it('match networks whatever the spelling of an address, and refuse missing and malformed ones', async () => {
    const { secret } = await keys.key({ allowedNetworks: ['192.0.2.0/24', '2001:db8::/32'] })
    const calls = [
      ...['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:0201', '2001:DB8:0:0::1', '2001:db8::ffff'],
      ...['192.0.3.1', '::ffff:192.0.3.1', '2001:db9::1', '', 'nonsense', '192.0.2.1/32', ' 192.0.2.1'],
      ...['192.0.2.256', '192.0.2.01', '2001:db8::1%eth0', '[2001:db8::1]', '192.0.2', undefined, null],
    ].map((clientIp) => ({ secret, apiCall, clientIp }))
    // Twice: at first the server does not know that the key has networks.
    for (let time = 0; time < 2; time++) {
      const codes = (await keys.meter(calls)).map(({ code }) => code)
      expect(codes.slice(0, 5)).toEqual(Array(5).fill('ADMITTED'))
      expect(codes.slice(5)).toEqual(Array(calls.length - 5).fill('NETWORK_DENIED'))
    }
  })

  it('stop asking for addresses and resources once a key has no such restriction', async () => {
    const { id, secret } = await keys.key({ allowedNetworks: ['192.0.2.0/24'] })
    expect(await keys.codeOf(secret, { clientIp: '192.0.2.1' })).toBe('ADMITTED')
    await keys.change(id, { allowedNetworks: [], restrictsResources: true })
    await app.services.prisma.apiKeyResource.create({ data: { apiKeyId: id, type: 'a', resourceId: '' } })
    expect(await keys.codeOf(secret, { clientIp: '192.0.9.1', resource: { type: 'a' } })).toBe('ADMITTED')
    await keys.change(id, { restrictsResources: false })
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    expect(await callsOf(id)).toBe(3)
  })

  it('allow the resources of a key, and list them', async () => {
    const { id, secret } = await keys.key({ restrictsResources: true })
    await app.services.prisma.apiKeyResource.createMany({
      data: [
        { apiKeyId: id, type: 'monitor', resourceId: '1' },
        { apiKeyId: id, type: 'monitor', resourceId: '2' },
        { apiKeyId: id, type: 'page', resourceId: '' },
      ],
    })
    const decide = (resource?: { type: string; id?: string }) => keys.decide(secret, { resource })
    expect(await decide({ type: 'monitor', id: '2' })).toMatchObject({
      code: 'ADMITTED',
      allowedResources: [
        { type: 'monitor', ids: ['1', '2'] },
        { type: 'page', ids: null },
      ],
    })
    for (const allowed of [{ type: 'monitor' }, { type: 'page' }, { type: 'page', id: '9' }])
      expect((await decide(allowed)).code).toBe('ADMITTED')
    for (const other of [undefined, { type: 'monitor', id: '3' }, { type: 'x' }, { type: 'x', id: '1' }])
      expect(await decide(other)).toMatchObject({ code: 'RESOURCE_DENIED', allowedResources: [] })
    expect((await keys.decide((await keys.key()).secret)).allowedResources).toBeNull()
  })

  it('fill buckets evenly, and say when another try is worth it', async () => {
    app.clock.freeze(noon)
    const { secret } = await keys.key({ rateCalls: 3, ratePerSeconds: 60 })
    const calls = Array.from({ length: 5 }, () => ({ secret, apiCall }))
    expect(
      (await keys.meter(calls)).map((decision) => 'retryAt' in decision && [decision.code, decision.retryAt]),
    ).toEqual([...Array(3).fill(['ADMITTED', null]), ...Array(2).fill(['RATE_LIMITED', at(20_000)])])
    app.clock.freeze(at(19_999))
    expect(await keys.decide(secret)).toMatchObject({ code: 'RATE_LIMITED', retryAt: at(20_000) })
    app.clock.freeze(at(20_000))
    expect(await keys.decide(secret)).toMatchObject({
      code: 'ADMITTED',
      rateLimits: [{ scope: 'API_KEY', calls: 3, perSeconds: 60, remaining: 0, resetsAt: at(80_000) }],
    })
    app.clock.freeze(at(3_600_000))
    expect(
      (await keys.meter(calls)).map((decision) => 'rateLimits' in decision && decision.rateLimits[0]),
    ).toEqual(
      [2, 1, 0, 0, 0].map((remaining) => ({
        ...{ scope: 'API_KEY', calls: 3, perSeconds: 60, remaining },
        resetsAt: at(3_600_000 + (3 - remaining) * 20_000),
      })),
    )
    app.clock.unfreeze(noon)
  })

  it('hold the rates of the plan, the API call and the key together, and take nothing when one refuses', async () => {
    app.clock.freeze(noon)
    const { prisma } = app.services
    const accountId = await keys.account({ rateCalls: 4, ratePerSeconds: 3_600 })
    const [a, b] = [
      await keys.key({ accountId, rateCalls: 2, ratePerSeconds: 3_600 }),
      await keys.key({ accountId }),
    ]
    const other = 'v3.account.limits'
    await prisma.apiCall.update({ where: { name: other }, data: { rateCalls: 1, ratePerSeconds: 3_600 } })
    const calls = [a, a, a, b, b, b].map(({ secret }, index) => ({
      secret,
      apiCall: index === 3 || index === 4 ? other : apiCall,
    }))
    const decisions = await keys.meter(calls)
    // The third call exceeds the key's rate, the fifth the API call's: neither takes from the plan's.
    expect(decisions.map(({ code }) => code)).toEqual([
      ...['ADMITTED', 'ADMITTED', 'RATE_LIMITED', 'ADMITTED', 'RATE_LIMITED', 'ADMITTED'],
    ])
    expect(await keys.decide(b.secret, { apiCall: other })).toMatchObject({
      code: 'RATE_LIMITED',
      rateLimits: [
        { scope: 'ACCOUNT', calls: 4, remaining: 0 },
        { scope: 'API_CALL', calls: 1, remaining: 0 },
      ],
    })
    await prisma.apiCall.update({ where: { name: other }, data: { rateCalls: null, ratePerSeconds: null } })
    app.clock.unfreeze(noon)
  })

  it('hold the key’s month and the account’s month together, and begin both anew', async () => {
    app.clock.freeze(new Date('2026-11-30T23:59:59.999Z'))
    const accountId = await keys.account({ monthlyCallQuota: 4 })
    const [a, b] = [await keys.key({ accountId, monthlyCallLimit: 2 }), await keys.key({ accountId })]
    const calls = [a, a, a, b, b, b].map(({ secret }) => ({ secret, apiCall }))
    const decide = async () =>
      (await keys.meter(calls)).map((one) => ('retryAt' in one ? [one.code, one.retryAt] : []))
    const admitted = ['ADMITTED', null]
    const december = new Date('2026-12-01T00:00:00.000Z')
    expect(await decide()).toEqual([
      ...[admitted, admitted, ['KEY_LIMIT_EXCEEDED', december], admitted, admitted],
      ['QUOTA_EXCEEDED', december],
    ])
    app.clock.freeze(december)
    expect((await decide()).map(([code]) => code)).toEqual([
      ...['ADMITTED', 'ADMITTED', 'KEY_LIMIT_EXCEEDED', 'ADMITTED', 'ADMITTED', 'QUOTA_EXCEEDED'],
    ])
    await keys.change(a.id, { monthlyCallLimit: 0 })
    expect(await keys.decide(a.secret)).toMatchObject({ code: 'KEY_LIMIT_EXCEEDED', retryAt: null })
    app.clock.unfreeze(noon)
  })

  it('keep to a changed rate at once, without forgetting what was spent', async () => {
    app.clock.freeze(noon)
    const { id, secret } = await keys.key({ rateCalls: 10, ratePerSeconds: 10 })
    await keys.meter(Array.from({ length: 10 }, () => ({ secret, apiCall })))
    await keys.change(id, { rateCalls: 20, ratePerSeconds: 7 })
    const calls = Array.from({ length: 21 }, () => ({ secret, apiCall }))
    expect((await keys.meter(calls)).filter(({ code }) => code === 'ADMITTED')).toHaveLength(10)
    await keys.change(id, { rateCalls: 2, ratePerSeconds: 60 })
    app.clock.freeze(at(29_999))
    expect(await keys.codeOf(secret)).toBe('RATE_LIMITED')
    app.clock.freeze(at(30_000))
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    await keys.change(id, { rateCalls: 2_147_483_647, ratePerSeconds: 86_400 })
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    await keys.change(id, { rateCalls: 2_147_483_647, ratePerSeconds: 1 })
    expect(await keys.codeOf(secret)).toBe('ADMITTED')
    app.clock.unfreeze(noon)
  })

  it('do not refill a bucket twice when the clocks of servers differ', async () => {
    const { secret } = await keys.key({ rateCalls: 60, ratePerSeconds: 60 })
    let admitted = 0
    // One server's clock is 10 s ahead of the other's.
    for (let second = 0; second < 20; second++)
      for (const aheadMs of [0, 10_000]) {
        app.clock.freeze(at(second * 1_000 + aheadMs))
        const calls = Array.from({ length: 60 }, () => ({ secret, apiCall }))
        admitted += (await keys.meter(calls)).filter(({ code }) => code === 'ADMITTED').length
      }
    expect(admitted).toBe(60 + 10 + 19)
    app.clock.unfreeze(noon)
  })

  it('count a requestId once, within a batch and afterwards, and tell that it is a replay', async () => {
    const { id, secret } = await keys.key()
    const call = { secret, apiCall, requestId: 'r-1' }
    const decisions = await keys.meter([call, call, { ...call, apiCall: 'v3.account.limits' }, call])
    expect(decisions.map((one) => 'replayed' in one && [one.code, one.replayed, one.apiKeyCalls])).toEqual([
      ...[
        ['ADMITTED', false, 1],
        ['ADMITTED', true, 1],
        ['REQUEST_ID_REUSED', false, 1],
        ['ADMITTED', true, 1],
      ],
    ])
    expect(await keys.decide(secret, call)).toMatchObject({ code: 'ADMITTED', replayed: true })
    expect(await keys.codeOf((await keys.key()).secret, { requestId: 'r-1' })).toBe('ADMITTED')
    expect(await callsOf(id)).toBe(1)
  })

  it('count a requestId once across both secrets of a key', async () => {
    const previous = generateSecret('lk')
    const { id, secret } = await keys.key({
      previousDigest: Buffer.from(digestOf(previous)),
      previousSecretExpiresAt: at(3_600_000),
    })
    const calls = [secret, previous, secret].map((one) => ({ secret: one, apiCall, requestId: 'same' }))
    expect((await keys.meter(calls)).map((one) => 'replayed' in one && one.replayed)).toEqual([
      false,
      true,
      true,
    ])
    expect(await callsOf(id)).toBe(1)
  })

  it('count a requestId again after 24 hours', async () => {
    app.clock.freeze(noon)
    const { id, secret } = await keys.key()
    const call = { requestId: 'daily' }
    await keys.decide(secret, call)
    app.clock.freeze(at(24 * 3_600_000 - 1))
    expect((await keys.decide(secret, call)).replayed).toBe(true)
    app.clock.freeze(at(24 * 3_600_000))
    expect((await keys.decide(secret, { ...call, apiCall: 'v3.account.limits' })).replayed).toBe(false)
    expect(await keys.codeOf(secret, call)).toBe('REQUEST_ID_REUSED')
    expect(await callsOf(id)).toBe(2)
    app.clock.unfreeze(noon)
  })

  it('forget a requestId whose call was refused, and admit a replay although the limits are used up', async () => {
    const { id, secret } = await keys.key({ monthlyCallLimit: 1 })
    const calls = ['a', 'b', 'b', 'a'].map((requestId) => ({ secret, apiCall, requestId }))
    const codes = async () =>
      (await keys.meter(calls)).map((one) => 'replayed' in one && `${one.code} ${one.replayed}`)
    const refused = 'KEY_LIMIT_EXCEEDED false'
    expect(await codes()).toEqual(['ADMITTED false', refused, refused, 'ADMITTED true'])
    await keys.change(id, { monthlyCallLimit: 2 })
    expect(await codes()).toEqual(['ADMITTED true', 'ADMITTED false', 'ADMITTED true', 'ADMITTED true'])
    expect(await callsOf(id)).toBe(2)
  })

  it('charge limited and other keys of one batch, each as if alone', async () => {
    const accountId = await keys.account({ monthlyCallQuota: 5 })
    const [plain, limited] = [await keys.key({ accountId }), await keys.key({ monthlyCallLimit: 3 })]
    const [open] = [await keys.key()]
    const calls = Array.from({ length: 30 }, (_, index) => ({
      secret: [plain, limited, open][index % 3]?.secret ?? '',
      apiCall,
    }))
    const decisions = await keys.meter(calls)
    const admitted = [0, 1, 2].map((key) =>
      decisions.filter(({ code }, i) => i % 3 === key && code === 'ADMITTED'),
    )
    expect(admitted.map((of) => of.map((one) => 'apiKeyCalls' in one && one.apiKeyCalls))).toEqual([
      ...[
        [1, 2, 3, 4, 5],
        [1, 2, 3],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      ],
    ])
  })
})
