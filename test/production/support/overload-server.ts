import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, vi } from 'vitest'
import { customerScopes, mintToken, type TokenClaims } from '../../../src/development.ts'
import { connectTo, createStorage, noteSecrets, sendOperation, type TestStorage } from '../../support/app.ts'
import { type ServerProcess, startServerProcess } from '../../support/server-process.ts'

const authSecret = 'a secret that only tests are signed with'
const probe = fileURLToPath(new URL('./overload-probe.mjs', import.meta.url))
const loadFile = fileURLToPath(new URL('./overload-load.mjs', import.meta.url))
const liveLoadFile = fileURLToPath(new URL('./live-load.mjs', import.meta.url))
const httpLoadFile = fileURLToPath(new URL('./overload-http-load.mjs', import.meta.url))

/** A customer's account, and the secret of its first key. */
export interface MeteredAccount {
  externalId: string
  token: string
  secret: string
}

/** How often each code was answered. */
type Codes = Record<string, number>

/** What a load generator met while there was no overload. */
interface Calm {
  codes: Codes
  /** Admitted calls per second of the server's CPU time. */
  admittedPerCpuSecond: number
}

/** What `overload-load.mjs` met. */
export interface LoadReport {
  warmUp: Calm
  rounds: {
    before: Calm
    during: Calm & { sent: number; admittedP99Ms: number; overloadedP99Ms: number; drainedMs: number }
    /** One call on each socket, once everything was answered, and then one more. */
    afterwards: Codes[]
  }[]
  unanswered: number
  /** Answers to calls that had been answered before. */
  repeated: number
  closed: number
}

/** What `overload-http-load.mjs` met. */
export interface HttpLoadReport {
  warmUp: Calm
  rounds: { before: Calm; during: Calm & { answeredPerSecond: number; p99Ms: number } }[]
  closed: number
}

/** What `live-load.mjs` met. */
export interface LiveLoadReport {
  open: number
  subscribed: number
  events: number
  /** How often each code was in an event. */
  codes: Codes
  closeCodes: Codes
}

/** What a server still holds after a garbage collection. */
export interface Holdings {
  heapUsed: number
  sockets: number
  timers: number
}

/** A built server in a process of its own, on a database of its own, with accounts whose keys can be metered. */
export class LoadedServer {
  readonly url: string
  readonly gatewayToken: string
  readonly operatorToken: string
  readonly #process: ServerProcess
  readonly #storage: TestStorage

  private constructor(process: ServerProcess, tokens: [string, string], storage: TestStorage) {
    this.url = process.url
    ;[this.gatewayToken, this.operatorToken] = tokens
    this.#process = process
    this.#storage = storage
  }

  static async start(environment: Record<string, string> = {}): Promise<LoadedServer> {
    const storage = await createStorage(inject('postgres') ? 'PostgreSQL' : 'embedded')
    const process = await startServerProcess({
      AUTH_SECRET: authSecret,
      KEY_ENCRYPTION_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
      LOG_LEVEL: 'warn',
      GRAPHIQL: 'off',
      NODE_OPTIONS: `--import=${probe}`,
      ...storage.environment,
      ...environment,
    })
    const tokens = [await tokenFor({ scopes: ['calls:meter'] }), await tokenFor({ scopes: ['admin'] })]
    return new LoadedServer(process, tokens as [string, string], storage)
  }

  /** Creates accounts without a quota. */
  async createAccounts(count: number): Promise<MeteredAccount[]> {
    const as = this.operatorToken
    const savePlan =
      'mutation { savePlan(input: { slug: "load", name: "Load", maxApiKeys: 5 }) { __typename } }'
    await sendOperation(this.url, savePlan, { as })
    const accounts: MeteredAccount[] = []
    for (let i = 0; i < count; i++) {
      const externalId = `loaded-${i}`
      const variables = { input: { externalId, name: externalId, plan: 'load' } }
      const saveAccount = 'mutation ($input: SaveAccountInput!) { saveAccount(input: $input) { __typename } }'
      await sendOperation(this.url, saveAccount, { as, variables })
      const token = await tokenFor({ account: externalId, scopes: customerScopes })
      const { data } = await sendOperation<{ account: { apiKeys: { nodes: { secret: string }[] } } }, object>(
        this.url,
        '{ account { apiKeys(first: 1) { nodes { secret } } } }',
        { as: token },
      )
      accounts.push({ externalId, token, secret: data.account.apiKeys.nodes[0]?.secret ?? '' })
    }
    return accounts
  }

  /** Adds keys to an account directly in PostgreSQL: thousands, which takes too long otherwise. */
  async addKeys({ externalId }: MeteredAccount, count: number): Promise<void> {
    const pool = connectTo(this.#storage, 1)
    await pool.query(
      `insert into api_key (id, account_id, digest, start, access_mode, created_at)
       select gen_random_uuid(), id, sha256(n::text::bytea), 'lk_abc', 'FULL', now()
       from account, generate_series(1, $2::int) n where external_id = $1`,
      [externalId, count],
    )
    await pool.end()
  }

  /** How many calls are stored for these accounts in total. */
  async storedCalls(accounts: readonly MeteredAccount[]): Promise<number> {
    let calls = 0
    for (const { token } of accounts) {
      const { data } = await sendOperation<{ account: { usage: { calls: number } } }, object>(
        this.url,
        '{ account { usage { calls } } }',
        { as: token },
      )
      calls += data.account.usage.calls
    }
    return calls
  }

  /** Puts load on it over WebSockets; the order is that of `overload-load.mjs`. */
  async load(order: object): Promise<LoadReport> {
    return await this.#run<LoadReport>(loadFile, order)
  }

  /** Puts load on it over HTTP; the order is that of `overload-http-load.mjs`. */
  async loadOverHttp(order: object): Promise<HttpLoadReport> {
    return await this.#run<HttpLoadReport>(httpLoadFile, order)
  }

  /** Subscribes to live counts; the order is that of `live-load.mjs`. */
  async subscribe(order: object): Promise<LiveLoadReport> {
    return await this.#run<LiveLoadReport>(liveLoadFile, order)
  }

  async #run<Report>(file: string, order: object): Promise<Report> {
    const argument = JSON.stringify({
      url: this.url,
      token: this.gatewayToken,
      pid: this.#process.pid,
      ...order,
    })
    const { stdout } = await promisify(execFile)(process.execPath, [file, argument], { timeout: 80_000 })
    return JSON.parse(stdout)
  }

  /** The resident memory of the process, in megabytes. */
  residentMb(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024
  }

  async holdings(): Promise<Holdings> {
    const reports = () => this.#process.output().match(/^holds .*$/gm) ?? []
    const before = reports().length
    this.#process.kill('SIGUSR2')
    // Tests call this from their hooks, too, where expect.poll is not allowed.
    await vi.waitFor(() => expect(reports().length).toBeGreaterThan(before), { timeout: 10_000, interval: 5 })
    return JSON.parse(reports().at(-1)?.slice('holds '.length) ?? '')
  }

  /** Everything that the server has printed and logged. */
  output(): string {
    return this.#process.output()
  }

  /** Stops it and resolves to its exit code. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.#process.kill('SIGTERM')
    const code = await this.#process.exited
    await this.#storage.drop()
    return code
  }
}

async function tokenFor(claims: Partial<TokenClaims>): Promise<string> {
  const auth = { secret: new TextEncoder().encode(authSecret), accountClaim: 'account' }
  const defaults = { subject: 'tester', scopes: [], lifetime: '3650d' }
  return noteSecrets(await mintToken(auth, { ...defaults, ...claims }))
}
