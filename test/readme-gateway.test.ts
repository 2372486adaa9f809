import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createStorage, quickestDatabase, startApp, type TestApp, type TestStorage } from './support/app.ts'
import { type Customer, createCustomer } from './support/customer.ts'
import { freePort } from './support/free-port.ts'
import { Network } from './support/network.ts'
import { blocksOf, ExampleProject } from './support/readme.ts'

/** Far below the 2.5 s that the example waits for a decision, and above what a busy machine needs for nothing. */
const atOnceMs = 1_000

/** Follows the example's own code: meters a call for each secret on standard input, and reports what happens. */
const driver = `
import { createInterface } from 'node:readline'
const report = (event: object) => console.log(JSON.stringify(event))
latchkey.on('connecting', () => report({ type: 'connecting' }))
for await (const secret of createInterface({ input: process.stdin })) {
  const startedAt = performance.now()
  void gate(secret, 'v3.ping').then(({ status }) =>
    report({ type: 'answer', status, ms: performance.now() - startedAt }),
  )
  setImmediate(() => report({ type: 'asked' }))
}
process.exit()
`

interface Answer {
  status: number
  ms: number
}

type Report = { type: 'connecting' } | { type: 'asked' } | ({ type: 'answer' } & Answer)

/** The README's gateway in a process of its own. */
class ExampleGateway {
  attempts = 0
  asked = 0
  admitted = 0
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #secret: string
  #resolveAnswer: (answer: Answer) => void = () => {}

  constructor(file: string, url: string, token: string, secret: string) {
    this.#secret = secret
    this.#child = spawn(process.execPath, [file], {
      env: { PATH: process.env.PATH, LATCHKEY_URL: url, GATEWAY_TOKEN: token },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#exited = once(this.#child, 'exit')
    if (!this.#child.stdout) throw new Error('The example has no standard output.')
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(JSON.parse(line)))
  }

  #take(report: Report): void {
    if (report.type === 'connecting') this.attempts++
    else if (report.type === 'asked') this.asked++
    else {
      if (report.status === 200) this.admitted++
      this.#resolveAnswer(report)
    }
  }

  ask(): Promise<Answer> {
    return new Promise((resolve) => {
      this.#resolveAnswer = resolve
      this.#child.stdin?.write(`${this.#secret}\n`)
    })
  }

  /** Asks until a call is admitted, and returns how long that took. */
  async untilAdmitted(): Promise<number> {
    const startedAt = performance.now()
    await expect.poll(async () => (await this.ask()).status, { timeout: 15_000, interval: 20 }).toBe(200)
    return performance.now() - startedAt
  }

  async expectRefusalsAtOnce(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      const { status, ms } = await this.ask()
      expect(status).toBe(503)
      expect(ms).toBeLessThan(atOnceMs)
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

describe('the gateway in README.md', () => {
  let project: ExampleProject
  let storage: TestStorage
  let app: TestApp
  let customer: Customer
  let gateway: ExampleGateway
  let network: Network
  let environment: Record<string, string>

  beforeAll(async () => {
    const example = blocksOf('ts').find(({ text }) => text.includes('meterApiCall'))?.text ?? ''
    const [code = '', demonstration] = example.split(/^(?=await new Promise)/m)
    expect(demonstration).toContain('gate(')
    project = await ExampleProject.compile({ gateway: code + driver })
    storage = await createStorage(quickestDatabase)
    environment = { PORT: String(await freePort()) }
    app = await startApp({ storage, environment })
  })
  beforeEach(async () => {
    customer = await createCustomer(app, {})
    const { secret } = await customer.addApiKey()
    const token = await app.token({ scopes: ['calls:meter'] })
    network = await Network.to(Number(new URL(app.url).port))
    const url = `http://127.0.0.1:${network.port}`
    gateway = new ExampleGateway(project.fileOf('gateway'), url, token, secret)
    await gateway.untilAdmitted()
  })
  afterEach(async () => {
    await gateway.stop()
    await network.cut()
  })
  afterAll(async () => {
    await app?.stop()
    await storage?.drop()
    await project?.remove()
  })

  it('refuses at once while the server is away, and admits again soon after it is back', async () => {
    await app.stop()
    const attempts = gateway.attempts
    await gateway.expectRefusalsAtOnce()
    // With a backoff that doubled without a cap, so many attempts would take more than a minute.
    await expect.poll(() => gateway.attempts, { timeout: 15_000 }).toBeGreaterThanOrEqual(attempts + 7)
    await gateway.expectRefusalsAtOnce()
    app = await startApp({ storage, environment, clock: app.clock })
    expect(await gateway.untilAdmitted()).toBeLessThan(3_000)
  })

  it('refuses calls in flight when the connection is lost, and does not send them again', async () => {
    network.freeze()
    const asked = gateway.asked
    const answer = gateway.ask()
    await expect.poll(() => gateway.asked).toBe(asked + 1)
    await network.cut()
    const { status, ms } = await answer
    expect(status).toBe(503)
    expect(ms).toBeLessThan(2_000)
    network.thaw()
    await network.mend()
    await gateway.untilAdmitted()
    expect((await customer.account()).usage.calls).toBe(gateway.admitted)
  })

  it('gives up on a connection that has gone silent, and then refuses at once', async () => {
    network.freeze()
    const { status, ms } = await gateway.ask()
    expect(status).toBe(503)
    expect(ms).toBeGreaterThan(2_000)
    expect(ms).toBeLessThan(5_000)
    await gateway.expectRefusalsAtOnce()
    network.thaw()
    expect(await gateway.untilAdmitted()).toBeLessThan(5_000)
  })
})
