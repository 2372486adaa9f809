import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Decision, MeteredCall } from '../../src/domain/metering/decision.ts'
import { addMonths, firstInstantOf, type Month, monthOf } from '../../src/domain/month.ts'
import { digestOf, generateSecret } from '../../src/domain/secret.ts'
import { UnavailableError } from '../../src/errors.ts'
import { createStorage, type DatabaseKind, databases, noteSecrets, type TestStorage } from '../support/app.ts'
import { MeteredKeys } from '../support/metered-keys.ts'
import { Random } from '../support/random.ts'
import { callsIn, DecisionModel, type ModelDecision, type ModelKey, type Rate } from './decision-model.ts'
import { World } from './world.ts'

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000)
/** `npm run simulate` takes 100,000 calls and changes, all on PostgreSQL. */
const isLong = process.env.STEPS !== undefined
const apiCallNames = ['v3.ping', 'v3.account.limits', 'v3.uptime-monitors.list']
const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1']
const resources = [{ type: 'monitor', id: '1' }, { type: 'monitor', id: '2' }, { type: 'page' }]
const dayMs = 86_400_000

/**
 * Seeded calls and changes against real servers, one batch after another, and a model that decides call by call. Every
 * decision and every stored count must be the model's.
 */
class Simulation {
  readonly random: Random
  readonly model = new DecisionModel()
  readonly worlds: World[]
  readonly happened: string[] = []
  taken = 0
  #now = new Date('2026-03-20T12:00:00.000Z')
  #requests = 0
  /** Metered lately with an id, to be sent again. */
  #sent: MeteredCall[] = []
  #deadSecrets: string[] = []

  constructor(storage: TestStorage, servers: number, seedOfThis: number) {
    this.random = new Random(seedOfThis)
    this.worlds = Array.from({ length: servers }, () => new World(storage, seedOfThis))
  }

  get #prisma() {
    return (this.worlds[0] as World).services.prisma
  }

  get #keys(): MeteredKeys {
    return new MeteredKeys(this.worlds[0] as World)
  }

  async start(): Promise<void> {
    for (const world of this.worlds) await world.start()
    this.#setClocks()
    for (const row of await this.#prisma.apiCall.findMany({ where: { name: { in: apiCallNames } } }))
      this.model.apiCalls.push({ id: row.id, name: row.name, rate: null, alwaysAllowed: false })
    for (let i = 0; i < 3; i++) {
      const plan = { quota: this.random.int(100, 400), rate: null }
      const id = await this.#keys.account({ monthlyCallQuota: plan.quota })
      this.model.accounts.push({ id, plan, suspended: false, calls: new Map(), buckets: new Map() })
    }
    for (let i = 0; i < 6; i++) await this.#add()
  }

  async stop(): Promise<void> {
    for (const world of this.worlds) await world.stop()
  }

  /** A few changes, and a batch of calls on one of the servers. */
  async round(): Promise<void> {
    for (let change = this.random.int(0, 3); change > 0; change--) {
      const [name, event] = this.random.pick(this.#events)
      this.happened.push(name)
      await event.call(this)
      this.taken++
    }
    await this.#meter()
  }

  readonly #events: [string, () => Promise<void> | void][] = [
    ['add', this.#add],
    ['import', this.#import],
    ['remove', this.#remove],
    ['rotate', this.#rotate],
    ['rotate with an overlap', this.#rotateWithOverlap],
    ['revoke the previous secret', this.#revokePrevious],
    ['disable or enable', this.#setEnabled],
    ['expire', this.#setExpiry],
    ['suspend or resume', this.#suspend],
    ['limit the key’s month', this.#limitMonth],
    ['limit the key’s rate', this.#limitRate],
    ['limit the plan', this.#limitPlan],
    ['limit the API call', this.#limitApiCall],
    ['restrict access', this.#restrictAccess],
    ['restrict networks', this.#restrictNetworks],
    ['restrict resources', this.#restrictResources],
    ['a moment passes', () => this.#pass(this.random.int(1, 3_000))],
    ['a minute passes', () => this.#pass(this.random.int(1_000, 120_000))],
    ['a day passes', () => this.#pass(this.random.int(dayMs - 2, dayMs + 2))],
    [
      'a month begins',
      () => this.#pass(firstInstantOf(addMonths(monthOf(this.#now), 1)).getTime() - this.#now.getTime()),
    ],
  ]

  #pass(ms: number): void {
    this.#now = new Date(this.#now.getTime() + ms)
    this.#setClocks()
  }

  /** The clocks of servers differ by up to two seconds. */
  #setClocks(): void {
    for (const [index, world] of this.worlds.entries())
      world.clock.freeze(new Date(this.#now.getTime() + index * 1_000))
  }

  #someRate(): Rate | null {
    return this.random.chance(0.3)
      ? null
      : { calls: this.random.int(1, 60), perSeconds: this.random.int(1, 120) }
  }

  #someKey(): ModelKey {
    return this.random.pick(this.model.keys.filter(({ secret }) => secret !== null))
  }

  async #addWith(secret: string): Promise<void> {
    const living = this.model.keys.filter(({ secret: of }) => of !== null)
    if (living.length >= 12) await this.#removeKey(living[0] as ModelKey)
    const account = this.random.pick(this.model.accounts)
    const { id } = await this.#keys.key({ accountId: account.id, secret })
    this.model.keys.push({
      ...{
        id,
        account,
        secret,
        previous: null,
        enabled: true,
        expiresAt: null,
        monthlyCallLimit: null,
        rate: null,
      },
      ...{ onlyAddress: null, onlyResource: null, apiCalls: null, calls: new Map(), requests: new Map() },
    })
  }

  #add(): Promise<void> {
    return this.#addWith(generateSecret('lk'))
  }

  #import(): Promise<void> {
    return this.#addWith(`imported secret ${this.random.int(0, 1e9)}-${this.model.keys.length}`)
  }

  async #remove(): Promise<void> {
    if (this.model.keys.filter(({ secret }) => secret !== null).length > 4)
      await this.#removeKey(this.#someKey())
  }

  async #removeKey(key: ModelKey): Promise<void> {
    this.#bury(key.secret, key.previous?.secret)
    Object.assign(key, { secret: null, previous: null })
    await this.#keys.change(key.id, { digest: null, previousDigest: null, removedAt: this.#now })
  }

  #bury(...secrets: (string | null | undefined)[]): void {
    for (const secret of secrets) if (secret) this.#deadSecrets.push(secret)
    this.#deadSecrets = this.#deadSecrets.slice(-5)
  }

  async #rotate(): Promise<void> {
    await this.#rotateKey(this.#someKey(), null)
  }

  async #rotateWithOverlap(): Promise<void> {
    await this.#rotateKey(this.#someKey(), new Date(this.#now.getTime() + this.random.int(1, 120_000)))
  }

  async #rotateKey(key: ModelKey, until: Date | null): Promise<void> {
    const old = key.secret as string
    this.#bury(key.previous?.secret, until ? null : old)
    key.secret = noteSecrets(generateSecret('lk'))
    key.previous = until && { secret: old, until }
    await this.#keys.change(key.id, {
      digest: Buffer.from(digestOf(key.secret)),
      previousDigest: until && Buffer.from(digestOf(old)),
      previousSecretExpiresAt: until,
    })
  }

  async #revokePrevious(): Promise<void> {
    const key = this.#someKey()
    this.#bury(key.previous?.secret)
    key.previous = null
    await this.#keys.change(key.id, { previousDigest: null, previousSecretExpiresAt: null })
  }

  async #setEnabled(): Promise<void> {
    const key = this.#someKey()
    key.enabled = this.random.chance(0.7)
    await this.#keys.change(key.id, { enabled: key.enabled })
  }

  async #setExpiry(): Promise<void> {
    const key = this.#someKey()
    key.expiresAt = this.random.chance(0.5)
      ? null
      : new Date(this.#now.getTime() + this.random.int(-1_000, 60_000))
    await this.#keys.change(key.id, { expiresAt: key.expiresAt })
  }

  async #suspend(): Promise<void> {
    const account = this.random.pick(this.model.accounts)
    account.suspended = this.random.chance(0.3)
    await this.#prisma.account.update({ where: { id: account.id }, data: { suspended: account.suspended } })
  }

  async #limitMonth(): Promise<void> {
    const key = this.#someKey()
    key.monthlyCallLimit = this.random.chance(0.3)
      ? null
      : callsIn(key, monthOf(this.#now)) + this.random.int(0, 60)
    await this.#keys.change(key.id, { monthlyCallLimit: key.monthlyCallLimit })
  }

  async #limitRate(): Promise<void> {
    const key = this.#someKey()
    key.rate = this.#someRate()
    await this.#keys.change(key.id, columnsOf(key.rate))
  }

  async #limitPlan(): Promise<void> {
    const { id, plan } = this.random.pick(this.model.accounts)
    plan.quota = this.random.chance(0.3) ? null : this.random.int(0, 800)
    plan.rate = this.random.chance(0.5) ? null : this.#someRate()
    await this.#prisma.plan.update({
      where: { id },
      data: { monthlyCallQuota: plan.quota, ...columnsOf(plan.rate) },
    })
  }

  async #limitApiCall(): Promise<void> {
    const apiCall = this.random.pick(this.model.apiCalls)
    apiCall.rate = this.random.chance(0.6) ? null : this.#someRate()
    apiCall.alwaysAllowed = this.random.chance(0.3)
    const { id, alwaysAllowed } = apiCall
    await this.#prisma.apiCall.update({ where: { id }, data: { alwaysAllowed, ...columnsOf(apiCall.rate) } })
  }

  async #restrictAccess(): Promise<void> {
    const key = this.#someKey()
    key.apiCalls = this.random.chance(0.5) ? null : apiCallNames.filter(() => this.random.chance(0.6))
    const granted = this.model.apiCalls.filter(({ name }) => key.apiCalls?.includes(name))
    await this.#keys.change(key.id, {
      accessMode: key.apiCalls ? 'RESTRICTED' : 'FULL',
      apiCalls: { deleteMany: {}, create: granted.map(({ id }) => ({ apiCallId: id })) },
    })
  }

  async #restrictNetworks(): Promise<void> {
    const key = this.#someKey()
    key.onlyAddress = this.random.chance(0.5) ? null : this.random.pick(addresses)
    await this.#keys.change(key.id, { allowedNetworks: key.onlyAddress ? [key.onlyAddress] : [] })
  }

  async #restrictResources(): Promise<void> {
    const key = this.#someKey()
    const only = this.random.chance(0.5) ? null : this.random.pick(resources)
    key.onlyResource = only && { type: only.type, id: only.id ?? null }
    const rows = only ? [{ type: only.type, resourceId: only.id ?? '' }] : []
    await this.#keys.change(key.id, {
      restrictsResources: only !== null,
      resources: { deleteMany: {}, create: rows },
    })
  }

  #someCalls(): MeteredCall[] {
    const living = this.model.keys.flatMap(({ secret, previous }) => [secret, previous?.secret])
    const secrets = [...living.filter((secret) => typeof secret === 'string'), ...this.#deadSecrets]
    return Array.from({ length: this.random.int(1, 120) }, () => {
      if (this.#sent.length > 0 && this.random.chance(0.1)) {
        const again = this.random.pick(this.#sent)
        return this.random.chance(0.9) ? again : { ...again, apiCall: this.random.pick(apiCallNames) }
      }
      const call: MeteredCall = {
        secret: this.random.chance(0.03) ? generateSecret('lk') : this.random.pick(secrets),
        apiCall: this.random.chance(0.03) ? 'v3.no-such-call' : this.random.pick(apiCallNames),
        clientIp: this.random.chance(0.1) ? undefined : this.random.pick(addresses),
        resource: this.random.chance(0.1) ? undefined : this.random.pick(resources),
      }
      return this.random.chance(0.2) ? { ...call, requestId: `request ${++this.#requests}` } : call
    })
  }

  async #meter(): Promise<void> {
    const world = this.random.pick(this.worlds)
    const calls = this.#someCalls()
    this.happened.push(`meter on server ${this.worlds.indexOf(world) + 1}`)
    await this.#learnDetails(world, calls)
    if (this.random.chance(0.15)) await this.#meterThroughFault(world, calls)
    else await this.#meterAndCompare(world, calls, (got, expected) => got.replayed === expected.replayed)
    this.#sent = [...this.#sent, ...calls.filter(({ requestId }) => requestId)].slice(-60)
    await this.#checkStored(monthOf(world.clock.now()))
    this.taken += calls.length
  }

  /**
   * A server that does not know yet that a key has networks or resources decides its calls after the others of the batch.
   * An API call that does not exist is never counted, and lets it know.
   */
  async #learnDetails(world: World, calls: MeteredCall[]): Promise<void> {
    const secrets = [...new Set(calls.map(({ secret }) => secret))]
    await world.services.meter.admit(secrets.map((secret) => ({ secret, apiCall: 'v3.unknown' })))
  }

  /** Every call has an id, so the batch may be sent again. Then it must be decided as if it was sent once. */
  async #meterThroughFault(world: World, someCalls: MeteredCall[]): Promise<void> {
    const calls = someCalls.map((call) => ({
      ...call,
      requestId: call.requestId ?? `request ${++this.#requests}`,
    }))
    const { meter } = world.services
    world.fault = this.random.pick(['fails before', 'fails after'] as const)
    const lost = meter.admit(calls)
    await expect(lost).rejects.toBeInstanceOf(UnavailableError)
    const other = this.worlds.length === 1 ? world : this.random.pick(this.worlds)
    // The other server's clock must not have let the buckets refill.
    other.clock.freeze(world.clock.now())
    await this.#learnDetails(other, calls)
    await this.#meterAndCompare(other, calls, () => true)
    this.#setClocks()
  }

  async #meterAndCompare(
    world: World,
    calls: MeteredCall[],
    alsoEqual: (got: Extract<Decision, { replayed: boolean }>, expected: ModelDecision) => boolean,
  ): Promise<void> {
    const now = world.clock.now()
    const decisions = await world.services.meter.admit(calls)
    for (const [index, call] of calls.entries()) {
      const expected = this.model.decide(call, now)
      const got = decisions[index] as Decision
      const where = `call ${index} of ${calls.length}: ${JSON.stringify(call)}`
      expect(`${got.code}, ${where}`).toBe(`${expected.code}, ${where}`)
      if (got.code === 'KEY_INVALID') continue
      expect([alsoEqual(got, expected), got.previousSecret], where).toEqual([true, expected.previousSecret])
      if (expected.totals && !got.replayed)
        expect([got.apiKeyCalls, got.account.calls], where).toEqual(expected.totals)
    }
  }

  async #checkStored(month: Month): Promise<void> {
    const stored = await (this.worlds[0] as World).stored(month)
    for (const account of this.model.accounts)
      expect(stored.accounts.get(account.id) ?? 0).toBe(callsIn(account, month))
    for (const key of this.model.keys) expect(stored.keys.get(key.id) ?? 0).toBe(callsIn(key, month))
  }
}

const columnsOf = (rate: Rate | null) => ({
  rateCalls: rate?.calls ?? null,
  ratePerSeconds: rate?.perSeconds ?? null,
})

interface Variant {
  database: DatabaseKind
  servers: number
}

const variants: Variant[] = [{ database: 'embedded', servers: 1 }]
if (databases.includes('PostgreSQL'))
  variants.push({ database: 'PostgreSQL', servers: 1 }, { database: 'PostgreSQL', servers: 3 })
const chosen = isLong ? variants.filter(({ database }) => database === 'PostgreSQL') : variants
const steps = isLong ? Math.ceil(Number(process.env.STEPS) / chosen.length) : 1_500

describe.each(chosen)('decisions of $servers on $database', ({ database, servers }) => {
  let storage: TestStorage
  beforeAll(async () => {
    storage = await createStorage(database)
  })
  afterAll(() => storage.drop())

  it(`are those of the model, as are the counts, through ${steps} calls and changes`, {
    timeout: 600_000,
  }, async () => {
    const simulation = new Simulation(storage, servers, seed)
    try {
      await simulation.start()
      while (simulation.taken < steps) await simulation.round()
    } catch (error) {
      throw new Error(
        `Repeat it with SEED=${seed} STEPS=${process.env.STEPS ?? ''}. After: ${simulation.happened.slice(-12).join(', ')}.`,
        { cause: error },
      )
    } finally {
      await simulation.stop()
    }
    if (isLong)
      process.stdout.write(
        `measured: ${simulation.taken} steps on ${database}, ${servers} servers, seed ${seed}\n`,
      )
  })
})
