import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { mintToken, type TokenClaims } from '../../../src/development.ts'
import { createStorage, noteSecrets, sendOperation, type TestApp } from '../../support/app.ts'
import { createCustomer } from '../../support/customer.ts'
import { type ServerProcess, startServerProcess } from '../../support/server-process.ts'
import { redisUrl } from '../../support/services.ts'
import { Load } from './load.ts'

const authSecret = 'a secret that only tests are signed with'
const auth = { secret: new TextEncoder().encode(authSecret), accountClaim: 'account' }

export interface DeploymentOptions {
  servers?: number
  /** Of the database; a function gives each server, by its number, a URL of its own. */
  databaseUrl: string | ((server: number) => string)
  redisUrl?: string | undefined
  environment?: Record<string, string>
}

/** Several server processes in production mode, on one PostgreSQL and one Redis. */
export class Deployment {
  /** Those that receive requests. */
  readonly servers: ServerProcess[] = []
  readonly #started: ServerProcess[] = []
  readonly #options: DeploymentOptions
  readonly #prefix = `latchkey-test-${randomUUID()}`

  private constructor(options: DeploymentOptions) {
    this.#options = options
  }

  /** Starts all servers at once. */
  static async start(options: DeploymentOptions): Promise<Deployment> {
    const deployment = new Deployment(options)
    const numbers = Array.from({ length: options.servers ?? 1 }, (_, number) => number)
    deployment.servers.push(...(await Promise.all(numbers.map((number) => deployment.startServer(number)))))
    return deployment
  }

  /** Starts one more server, which receives no requests unless a test adds it to `servers`. */
  async startServer(number: number, environment: Record<string, string> = {}): Promise<ServerProcess> {
    const { databaseUrl, environment: shared } = this.#options
    const server = await startServerProcess({
      NODE_ENV: 'production',
      AUTH_SECRET: authSecret,
      SHUTDOWN_DELAY_MS: '0',
      DATABASE_URL: typeof databaseUrl === 'string' ? databaseUrl : databaseUrl(number),
      ...(this.#options.redisUrl ? { REDIS_URL: this.#options.redisUrl, REDIS_PREFIX: this.#prefix } : {}),
      ...shared,
      ...environment,
    })
    this.#started.push(server)
    return server
  }

  urlOf = (number: number): string => this.servers[number % this.servers.length]?.url ?? ''

  async token(claims: Partial<TokenClaims>): Promise<string> {
    return noteSecrets(await mintToken(auth, { subject: 'tester', scopes: [], lifetime: '365d', ...claims }))
  }

  gatewayToken = () => this.token({ scopes: ['calls:meter'] })

  /** One of the servers, in the form that the helpers of other tests take. */
  app(number = 0): Pick<TestApp, 'url' | 'token' | 'query'> {
    const url = this.urlOf(number)
    return {
      url,
      token: (claims) => this.token(claims),
      query: (document, options) => sendOperation(url, document, options),
    }
  }

  /** A customer with this many keys. */
  async customer({ keys = 3, quota = null as number | null, maxApiKeys = 10 } = {}) {
    const customer = await createCustomer(this.app(), { maxApiKeys, monthlyCallQuota: quota })
    const added = []
    for (let i = 0; i < keys; i++) added.push(await customer.addApiKey())
    return {
      ...customer,
      keys: added.map(({ secret, apiKey }) => ({ secret, id: apiKey.id })),
      secrets: added.map(({ secret }) => secret),
    }
  }

  /** Puts load on all servers until it is stopped. */
  async load(secrets: readonly string[], callers?: number): Promise<Load> {
    const token = await this.gatewayToken()
    return new Load({ urlOf: this.urlOf, token, secrets, ...(callers ? { callers } : {}) })
  }

  /** Stops every server, expects exit code 0 of it, and adds its output to the log that is searched for secrets. */
  async stop(): Promise<void> {
    for (const server of this.#started) server.kill('SIGTERM')
    for (const server of this.#started) {
      const end = await server.exited
      expect([0, 'SIGKILL'], server.output().slice(-2_000)).toContain(end)
    }
  }
}

/** Starts a deployment on the shared PostgreSQL and Redis, with a database of its own. */
export async function startShared(options: Omit<DeploymentOptions, 'databaseUrl' | 'redisUrl'>) {
  const storage = await createStorage('PostgreSQL')
  const databaseUrl = storage.environment.DATABASE_URL ?? ''
  const deployment = await Deployment.start({ ...options, databaseUrl, redisUrl })
  return { deployment, storage, databaseUrl }
}
