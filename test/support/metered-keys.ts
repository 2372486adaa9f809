import { randomUUID } from 'node:crypto'
import type { ApiKeyDecision, Decision, MeteredCall } from '../../src/domain/metering/decision.ts'
import { digestOf, generateSecret, startOf } from '../../src/domain/secret.ts'
import type { Prisma } from '../../src/generated/prisma/client.ts'
import { noteSecrets, type TestApp } from './app.ts'

/** A key with everything that can be set on it, written directly. */
export interface MeteredKey {
  id: string
  accountId: string
  secret: string
}

/** Writes plans, accounts and keys directly, with any restriction. */
export class MeteredKeys {
  readonly #app: Pick<TestApp, 'services'>

  constructor(app: Pick<TestApp, 'services'>) {
    this.#app = app
  }

  /** An account on a plan of its own. Returns its id. */
  async account(plan: Partial<Prisma.PlanUncheckedCreateInput> = {}): Promise<string> {
    const { prisma, clock } = this.#app.services
    const id = randomUUID()
    const createdAt = clock.now()
    const common = { name: 'Some', createdAt }
    await prisma.plan.create({ data: { id, slug: id, maxApiKeys: 100, ...common, ...plan } })
    await prisma.account.create({ data: { id, externalId: id, planId: id, ...common } })
    return id
  }

  /** A key, of an account of its own unless it is given. */
  async key(
    data: Partial<Prisma.ApiKeyUncheckedCreateInput> & { secret?: string } = {},
  ): Promise<MeteredKey> {
    const { prisma, clock } = this.#app.services
    const { secret = generateSecret('lk'), ...columns } = data
    const accountId = columns.accountId ?? (await this.account())
    const { id } = await prisma.apiKey.create({
      data: {
        ...{ id: randomUUID(), start: startOf(secret), accessMode: 'FULL', createdAt: clock.now() },
        ...{ digest: Buffer.from(digestOf(secret)) },
        ...columns,
        accountId,
      },
    })
    return { id, accountId, secret: noteSecrets(secret) }
  }

  change(id: string, data: Prisma.ApiKeyUncheckedUpdateInput) {
    return this.#app.services.prisma.apiKey.update({ where: { id }, data })
  }

  /** Meters calls of one request. */
  meter(calls: MeteredCall[]): Promise<Decision[]> {
    return this.#app.services.meter.admit(calls)
  }

  /** Meters one call. */
  async decide(secret: string, call: Partial<MeteredCall> = {}): Promise<ApiKeyDecision> {
    const [decision] = await this.meter([{ secret, apiCall: 'v3.ping', ...call }])
    return decision as ApiKeyDecision
  }

  async codeOf(secret: string, call?: Partial<MeteredCall>): Promise<string> {
    return (await this.decide(secret, call)).code
  }
}
