import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Access } from '../../src/domain/access.ts'
import type { Decision, MeteredCall } from '../../src/domain/metering/decision.ts'
import { addMonths, firstInstantOf, type Month, monthOf } from '../../src/domain/month.ts'
import { generateSecret } from '../../src/domain/secret.ts'
import { ApiKeyLimitReachedError, UnavailableError } from '../../src/errors.ts'
import { createStorage, databases, noteSecrets, type TestStorage } from '../support/app.ts'
import { Random } from '../support/random.ts'
import { Model, type ModelAccount, type ModelKey } from './model.ts'
import { World } from './world.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)
/** Most of the embedded database's time goes into restarts, a second each. */
const eventsOn = inject('thorough') ? { embedded: 120, PostgreSQL: 900 } : { embedded: 40, PostgreSQL: 300 }
const apiCalls = ['v3.ping', 'v3.account.limits', 'v3.uptime-monitors.list']

/** Seeded events against the real services and a model of them. G1 to G5 are checked after each event. */
class Simulation {
  readonly random: Random
  readonly model = new Model(apiCalls)
  readonly world: World

  constructor(storage: TestStorage, seedOfThis: number) {
    this.random = new Random(seedOfThis)
    this.world = new World(storage, seedOfThis)
  }

  get month(): Month {
    return monthOf(this.world.clock.now())
  }

  async start(): Promise<void> {
    await this.world.start()
    for (let i = 0; i < 3; i++) await this.#createAccount(`simulated-${i}`)
  }

  /** Carries out a random event and checks the guarantees. Returns the event's name. */
  async step(): Promise<string> {
    const [name, event] = this.random.pick(this.#events)
    await event.call(this)
    await this.check()
    return name
  }

  readonly #events: [string, () => Promise<void>][] = [
    ['add', this.#add],
    ['add many at once', this.#addManyAtOnce],
    ['regenerate', this.#regenerate],
    ['remove', this.#remove],
    ['restrict', this.#restrict],
    ['meter', this.#meter],
    ['meter', this.#meter],
    ['meter', this.#meter],
    ['meter through a commit that fails before', () => this.#meterThroughFault('fails before')],
    ['meter through a commit that fails after', () => this.#meterThroughFault('fails after')],
    ['regenerate while metering', this.#regenerateWhileMetering],
    ['change the plan', this.#changePlan],
    ['new month', this.#startNextMonth],
    ['restart', this.#restart],
  ]

  async #createAccount(externalId: string): Promise<void> {
    const { accounts, catalogue, prisma, keys } = this.world.services
    const [maxApiKeys, quota] = [this.random.int(2, 5), this.random.int(10, 60)]
    const slug = externalId
    await catalogue.savePlan({ slug, name: slug, maxApiKeys, monthlyCallQuota: quota })
    const { accountId: id } = await accounts.save({ externalId, name: externalId, plan: slug })
    const account: ModelAccount = { id, externalId, maxApiKeys, quota, keys: [], calls: new Map() }
    this.model.accounts.push(account)
    const first = await prisma.apiKey.findFirstOrThrow({ where: { accountId: id } })
    const { secret } = await keys.regenerate({ accountId: id }, first.id)
    this.#noteKey(account, first.id, secret, { mode: 'FULL' })
  }

  #noteKey(account: ModelAccount, id: string, secret: string, access: Access): void {
    account.keys.push({ id, account, secret: noteSecrets(secret), access, removed: false, calls: new Map() })
  }

  #someAccess(): Access {
    if (this.random.chance(0.5)) return { mode: 'FULL' }
    return { mode: 'RESTRICTED', apiCalls: apiCalls.filter(() => this.random.chance(0.4)) }
  }

  async #add(): Promise<void> {
    const account = this.random.pick(this.model.accounts)
    const full = this.model.livingKeysOf(account).length >= account.maxApiKeys
    const access = this.#someAccess()
    const adding = this.world.services.keys.add(account.id, null, access)
    if (full) return void (await expect(adding).rejects.toBeInstanceOf(ApiKeyLimitReachedError))
    const { apiKeyId, secret } = await adding
    this.#noteKey(account, apiKeyId, secret, access)
  }

  async #addManyAtOnce(): Promise<void> {
    const account = this.random.pick(this.model.accounts)
    const room = Math.max(0, account.maxApiKeys - this.model.livingKeysOf(account).length)
    const access = this.#someAccess()
    const results = await Promise.allSettled(
      Array.from({ length: room + 2 }, () => this.world.services.keys.add(account.id, null, access)),
    )
    const added = results.filter((result) => result.status === 'fulfilled')
    expect(added).toHaveLength(room)
    for (const { value } of added) this.#noteKey(account, value.apiKeyId, value.secret, access)
  }

  async #regenerate(): Promise<void> {
    await this.#regenerateKey(this.#someKey())
  }

  async #regenerateKey(key: ModelKey | undefined): Promise<void> {
    if (!key) return
    const { secret } = await this.world.services.keys.regenerate({ accountId: key.account.id }, key.id)
    this.model.deadSecrets.push(key.secret)
    key.secret = noteSecrets(secret)
  }

  async #remove(): Promise<void> {
    const key = this.#someKey()
    if (!key) return
    await this.world.services.keys.remove({ accountId: key.account.id }, key.id)
    this.model.deadSecrets.push(key.secret)
    key.removed = true
  }

  async #restrict(): Promise<void> {
    const key = this.#someKey()
    if (!key) return
    key.access = this.#someAccess()
    await this.world.services.keys.configureAccess({ accountId: key.account.id }, key.id, key.access)
  }

  async #changePlan(): Promise<void> {
    const account = this.random.pick(this.model.accounts)
    account.maxApiKeys = this.random.int(1, 5)
    account.quota = this.random.int(5, 80)
    const { externalId: slug, maxApiKeys, quota: monthlyCallQuota } = account
    await this.world.services.catalogue.savePlan({ slug, name: slug, maxApiKeys, monthlyCallQuota })
  }

  async #startNextMonth(): Promise<void> {
    this.world.clock.set(firstInstantOf(addMonths(this.month, 1)))
  }

  async #restart(): Promise<void> {
    await this.world.stop()
    await this.world.start()
  }

  #someKey(): ModelKey | undefined {
    const keys = this.model.livingKeys
    return keys.length > 0 ? this.random.pick(keys) : undefined
  }

  #someCalls(): MeteredCall[] {
    const secrets = [
      ...this.model.livingKeys.map(({ secret }) => secret),
      ...this.model.deadSecrets.slice(-3),
    ]
    return Array.from({ length: this.random.int(1, 40) }, () => ({
      secret: this.random.chance(0.05) ? generateSecret('lk') : this.random.pick(secrets),
      apiCall: this.random.chance(0.05) ? 'v3.no-such-call' : this.random.pick(apiCalls),
    }))
  }

  async #meter(): Promise<void> {
    const calls = this.#someCalls()
    const { meter } = this.world.services
    const decisions = this.random.chance(0.5)
      ? await meter.admit(calls)
      : await Promise.all(calls.map(async (call) => (await meter.admit([call]))[0] as Decision))
    const taken = new Map<string, number>()
    for (const [index, { secret, apiCall }] of calls.entries()) {
      const key = this.model.keyOf(secret)
      const before = taken.get(key?.account.id ?? '') ?? 0
      expect(decisions[index]?.code).toBe(this.model.decide(secret, apiCall, this.month, before))
      if (key && decisions[index]?.code === 'ADMITTED') taken.set(key.account.id, before + 1)
    }
    for (const [index, { secret }] of calls.entries()) {
      const key = this.model.keyOf(secret)
      if (key && decisions[index]?.code === 'ADMITTED') this.model.count(key, this.month, 1)
    }
  }

  /** G1 when an answer is lost: answered ≤ stored ≤ answered + unanswered. The model then adopts the stored counts. */
  async #meterThroughFault(fault: 'fails before' | 'fails after'): Promise<void> {
    const calls = this.#someCalls()
    this.world.fault = fault
    await expect(this.world.services.meter.admit(calls)).rejects.toBeInstanceOf(UnavailableError)
    this.world.fault = undefined
    const stored = await this.world.stored(this.month)
    for (const key of this.model.accounts.flatMap(({ keys }) => keys)) {
      const answered = key.calls.get(this.month) ?? 0
      const unanswered = calls.filter(({ secret }) => secret === key.secret).length
      const counted = stored.keys.get(key.id) ?? 0
      expect(counted).toBeGreaterThanOrEqual(answered)
      expect(counted).toBeLessThanOrEqual(fault === 'fails before' ? answered : answered + unanswered)
      this.model.count(key, this.month, counted - answered)
    }
  }

  /** G3: the old secret is refused by every call that begins after the regeneration, whatever was decided during it. */
  async #regenerateWhileMetering(): Promise<void> {
    const key = this.#someKey()
    if (key?.access.mode !== 'FULL') return
    const { secret: oldSecret } = key
    const { meter } = this.world.services
    const during = Array.from({ length: 5 }, () => meter.admit([{ secret: oldSecret, apiCall: 'v3.ping' }]))
    await this.#regenerateKey(key)
    const after = await meter.admit([{ secret: oldSecret, apiCall: 'v3.ping' }])
    expect(after).toEqual([{ code: 'KEY_INVALID' }])
    const admitted = (await Promise.all(during)).flat().filter(({ code }) => code === 'ADMITTED')
    this.model.count(key, this.month, admitted.length)
  }

  async check(): Promise<void> {
    const stored = await this.world.stored(this.month)
    for (const account of this.model.accounts) {
      const calls = account.calls.get(this.month) ?? 0
      expect(stored.accounts.get(account.id) ?? 0).toBe(calls)
      for (const key of account.keys)
        expect(stored.keys.get(key.id) ?? 0).toBe(key.calls.get(this.month) ?? 0)
      const living = this.model.livingKeysOf(account)
      const watcher = this.world.watcher(account.id)
      await watcher.until(
        () =>
          watcher.month === this.month &&
          watcher.accountCalls === calls &&
          watcher.counts.size === living.length &&
          living.every(
            ({ id, calls: keyCalls }) => watcher.counts.get(id) === (keyCalls.get(this.month) ?? 0),
          ),
      )
    }
  }
}

describe.each(databases)('simulation on %s', (database) => {
  let storage: TestStorage
  beforeAll(async () => {
    storage = await createStorage(database)
  })
  afterAll(() => storage.drop())

  const events = Number(process.env.EVENTS ?? eventsOn[database])

  it(`keeps G1 to G5 through ${events} random events`, { timeout: 100_000 }, async () => {
    const simulation = new Simulation(storage, seed)
    const happened: string[] = []
    try {
      await simulation.start()
      for (let i = 0; i < events; i++) happened.push(await simulation.step())
    } catch (error) {
      throw new Error(
        `Repeat it with SEED=${seed} EVENTS=${events}. After: ${happened.slice(-5).join(', ')}.`,
        {
          cause: error,
        },
      )
    } finally {
      await simulation.world.stop()
    }
  })
})
