import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf, generateSecret } from '../../src/domain/secret.ts'
import type { Prisma } from '../../src/generated/prisma/client.ts'
import { parseGlobalId } from '../../src/schema/global-id.ts'
import { databasesInTurn, noteSecrets, startApp, type TestApp } from '../support/app.ts'
import { type AddedApiKey, type Customer, createCustomer, createGateway } from '../support/customer.ts'
import {
  DescribeSecret,
  MeterApiCalls,
  RegenerateApiKey,
  RemoveApiKey,
  RevokePreviousSecret,
  SetApiKeyExpiry,
} from '../support/operations.ts'

describe.each(databasesInTurn)('the overlap of two secrets on %s', (database) => {
  let app: TestApp
  let customer: Customer
  let gateway: string
  let added: AddedApiKey

  beforeAll(async () => {
    app = await startApp({ database })
    customer = await createCustomer(app, { maxApiKeys: 100 })
    gateway = (await createGateway(app)).token
  })
  afterAll(() => app.stop())

  const newKey = async () => {
    added = await customer.addApiKey({ note: 'kept', access: { mode: 'RESTRICTED', apiCalls: ['v3.ping'] } })
    return added
  }

  async function regenerate(overlapSeconds: number | null) {
    const variables = { id: added.apiKey.id, overlapSeconds }
    return (await app.query(RegenerateApiKey, { as: customer.token, variables })).data.regenerateApiKey
  }

  async function secretAfter(overlapSeconds: number | null): Promise<string> {
    const answer = await regenerate(overlapSeconds)
    if (answer.__typename !== 'RegenerateApiKeyPayload') throw new Error(JSON.stringify(answer))
    return answer.secret
  }

  const revoke = async () =>
    (await app.query(RevokePreviousSecret, { as: customer.token, variables: { id: added.apiKey.id } })).data
      .revokePreviousSecret

  /**
   * What each secret is: the current one, the previous one, or none that works. A call is told the same as a gateway
   * that has the secret described.
   */
  async function kindsOf(...secrets: string[]): Promise<('current' | 'previous' | 'none')[]> {
    const calls = secrets.map((secret) => ({ secret, apiCall: 'v3.ping' }))
    const { data } = await app.query(MeterApiCalls, { as: gateway, variables: { calls } })
    return await Promise.all(
      data.meterApiCalls.decisions.map(async ({ code, apiKeyId, previousSecret }, index) => {
        const variables = { secret: secrets[index] as string }
        const { describeSecret } = (await app.query(DescribeSecret, { as: gateway, variables })).data
        const { apiKey, ...described } = describeSecret ?? { code: 'KEY_INVALID', previousSecret: false }
        expect(described).toMatchObject({ code, previousSecret })
        expect(apiKey?.id ?? null).toBe(apiKeyId)
        if (code === 'KEY_INVALID') return 'none'
        expect(apiKeyId).toBe(added.apiKey.id)
        return previousSecret ? 'previous' : 'current'
      }),
    )
  }

  const row = () =>
    app.services.prisma.apiKey.findUniqueOrThrow({
      where: { id: parseGlobalId(added.apiKey.id).id },
      include: { apiCalls: true },
    })

  const inSeconds = (seconds: number) => new Date(app.clock.now().getTime() + seconds * 1_000)

  it('is none unless it is asked for', async () => {
    const { secret: first } = await newKey()
    const second = await secretAfter(null)
    expect(await kindsOf(first, second)).toEqual(['none', 'current'])
    const third = await secretAfter(0)
    expect(await kindsOf(second, third)).toEqual(['none', 'current'])
    expect(await row()).toMatchObject({ previousDigest: null, previousSecretExpiresAt: null })
  })

  it('ends at previousSecretExpiresAt, to the millisecond', async () => {
    const { secret: first } = await newKey()
    const answer = await regenerate(2_592_000)
    if (answer.__typename !== 'RegenerateApiKeyPayload') throw new Error('not regenerated')
    const { regeneratedAt, previousSecretExpiresAt } = answer.apiKey
    const end = new Date(previousSecretExpiresAt ?? '')
    expect(end.getTime() - new Date(regeneratedAt ?? '').getTime()).toBe(2_592_000_000)
    app.clock.set(new Date(end.getTime() - 60_000))
    expect(await kindsOf(first, answer.secret)).toEqual(['previous', 'current'])
    app.clock.set(end)
    expect(await kindsOf(first, answer.secret)).toEqual(['none', 'current'])
    expect(await revoke()).toMatchObject({ apiKey: { previousSecretExpiresAt: null } })
    app.clock.set(new Date())
  })

  it('keeps the id, note, access and count of the key', async () => {
    await newKey()
    const before = await row()
    const second = await secretAfter(60)
    const { id, note, accessMode, apiCalls, createdAt } = await row()
    expect({ ...before, id, note, accessMode, apiCalls, createdAt }).toEqual(before)
    await kindsOf(added.secret, second)
    const { apiKeys } = await customer.account()
    expect(apiKeys.nodes.find((key) => key.id === added.apiKey.id)?.usage.calls).toBe(2)
  })

  it('drops the oldest secret when the key is re-generated again', async () => {
    const { secret: first } = await newKey()
    const second = await secretAfter(3_600)
    const third = await secretAfter(60)
    expect(await kindsOf(first, second, third)).toEqual(['none', 'previous', 'current'])
    const fourth = await secretAfter(0)
    expect(await kindsOf(first, second, third, fourth)).toEqual(['none', 'none', 'none', 'current'])
  })

  it('ends when the previous secret is revoked', async () => {
    const { secret: first } = await newKey()
    const second = await secretAfter(3_600)
    expect(await revoke()).toMatchObject({ apiKey: { id: added.apiKey.id, previousSecretExpiresAt: null } })
    expect(await kindsOf(first, second)).toEqual(['none', 'current'])
    expect((await row()).previousDigest).toBeNull()
    expect((await revoke()).__typename).toBe('RevokePreviousSecretPayload')
  })

  it('does not last longer than the key', async () => {
    const { secret: first } = await newKey()
    const expire = (expiresAt: Date | null) =>
      app.query(SetApiKeyExpiry, {
        as: customer.token,
        variables: { id: added.apiKey.id, expiresAt: expiresAt?.toISOString() ?? null },
      })
    const expiresAt = inSeconds(600)
    await expire(expiresAt)
    const before = await row()
    expect(await regenerate(700)).toMatchObject({
      __typename: 'InvalidInput',
      issues: [
        { path: ['input', 'overlapSeconds'], message: expect.stringContaining(expiresAt.toISOString()) },
      ],
    })
    expect(await row()).toEqual(before)
    const second = await secretAfter(500)
    expect(await kindsOf(first, second)).toEqual(['previous', 'current'])
    const earlier = inSeconds(60)
    expect((await expire(earlier)).data.setApiKeyExpiry).toMatchObject({
      apiKey: { expiresAt: earlier.toISOString(), previousSecretExpiresAt: earlier.toISOString() },
    })
    expect((await expire(inSeconds(3_600))).data.setApiKeyExpiry).toMatchObject({
      apiKey: { previousSecretExpiresAt: earlier.toISOString() },
    })
    app.clock.set(inSeconds(3_600))
    expect((await regenerate(1)).__typename).toBe('InvalidInput')
    expect((await regenerate(0)).__typename).toBe('RegenerateApiKeyPayload')
    app.clock.set(new Date())
  })

  it('holds both secrets of two re-generations at once, and not the one before', async () => {
    const { secret: first } = await newKey()
    for (let round = 0; round < 5; round++) {
      const secrets = await Promise.all([secretAfter(60), secretAfter(60)])
      expect((await kindsOf(...secrets)).sort()).toEqual(['current', 'previous'])
      expect(await kindsOf(first)).toEqual(['none'])
    }
  })

  it('ends when a server of version 0.1, which does not know it, removes or re-generates the key', async () => {
    const older = (change: Prisma.ApiKeyUpdateInput) =>
      app.services.prisma.apiKey.update({ where: { id: parseGlobalId(added.apiKey.id).id }, data: change })
    const { secret: first } = await newKey()
    const second = await secretAfter(3_600)
    await older({ note: 'still overlapping' })
    expect(await kindsOf(first, second)).toEqual(['previous', 'current'])
    const third = noteSecrets(generateSecret('lk'))
    await older({ digest: new Uint8Array(digestOf(third)), regeneratedAt: app.clock.now() })
    expect(await kindsOf(first, second, third)).toEqual(['none', 'none', 'current'])
    const fourth = await secretAfter(3_600)
    await older({ digest: null, sealedSecret: null, removedAt: app.clock.now() })
    expect(await kindsOf(third, fourth)).toEqual(['none', 'none'])
  })

  it('ends with the key: of a removed key no secret is left, even if it is re-generated at once', async () => {
    for (let round = 0; round < 5; round++) {
      const { secret: first, apiKey } = await newKey()
      const second = await secretAfter(60)
      const [answer] = await Promise.all([
        regenerate(60),
        app.query(RemoveApiKey, { as: customer.token, variables: { id: apiKey.id } }),
      ])
      const third = answer.__typename === 'RegenerateApiKeyPayload' ? [answer.secret] : []
      expect(await kindsOf(first, second, ...third)).not.toContain('current')
      expect(await kindsOf(first, second, ...third)).not.toContain('previous')
      const gone = { digest: null, sealedSecret: null, previousDigest: null, previousSecretExpiresAt: null }
      expect(await row()).toMatchObject(gone)
    }
  })
})
