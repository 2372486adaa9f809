import { mkdir } from 'node:fs/promises'
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { createStorage, quickestDatabase, startApp, type TestApp, type TestStorage } from './app.ts'
import { launchBrowser } from './browser.ts'
import { type Customer, createCustomer, createGateway } from './customer.ts'
import { freePort } from './free-port.ts'

export type Gateway = Awaited<ReturnType<typeof createGateway>>

export interface ClientAreaOptions {
  environment?: Record<string, string>
}

/** Where screenshots are saved; ignored by git. */
const screenshotFolder = 'test-results/client-area'

/**
 * The built API Keys page on its own server, with a gateway that meters calls, and a browser. In development mode the
 * page opens signed in as `customer`, which each test creates for itself.
 */
export class ClientArea {
  app: TestApp
  readonly browser: Browser
  readonly gateway: Gateway
  /** The customer whom the page is signed in as. */
  customer: Customer
  /** The lifetime of the page's next tokens. */
  tokenLifetime = '15m'
  /** How many tokens the page has received. */
  tokensGiven = 0
  readonly #storage: TestStorage
  readonly #environment: Record<string, string>
  readonly #contexts: BrowserContext[] = []

  private constructor(
    app: TestApp,
    browser: Browser,
    gateway: Gateway,
    customer: Customer,
    storage: TestStorage,
    environment: Record<string, string>,
  ) {
    this.app = app
    this.browser = browser
    this.gateway = gateway
    this.customer = customer
    this.#storage = storage
    this.#environment = environment
  }

  static async start(options: ClientAreaOptions = {}): Promise<ClientArea> {
    const storage = await createStorage(quickestDatabase)
    const environment = { PORT: String(await freePort()), ...options.environment }
    let area: ClientArea | undefined
    const demoToken = () => {
      if (!area) throw new Error('The client area is asked before it has started.')
      return area.#token()
    }
    const app = await startApp({ storage, environment, demoToken })
    const [browser, gateway, customer] = await Promise.all([
      launchBrowser(),
      createGateway(app),
      createCustomer(app),
    ])
    area = new ClientArea(app, browser, gateway, customer, storage, environment)
    return area
  }

  get url(): string {
    return this.app.url
  }

  #token(): Promise<string> {
    this.tokensGiven += 1
    return this.customerToken()
  }

  /** A token for the customer, as a host page would provide it. */
  customerToken(lifetime = this.tokenLifetime): Promise<string> {
    const { externalId: account } = this.customer
    return this.app.token({ account, scopes: ['keys:read', 'keys:write', 'keys:reveal'], lifetime })
  }

  /** Signs another customer in; with limits, on a plan of its own. */
  async newCustomer(limits?: Parameters<typeof createCustomer>[1]): Promise<Customer> {
    this.customer = await createCustomer(this.app, limits)
    return this.customer
  }

  /** The customer's first key, which every account starts with, and its secret. */
  async firstKey() {
    const account = await this.customer.account()
    const key = account.apiKeys.nodes[0]
    if (!key?.secret) throw new Error('The customer has no key that can be read.')
    return { ...key, secret: key.secret }
  }

  /** Opens the page in a new browser profile, or in another tab of the given one. */
  async open({
    path = '/',
    url = this.url,
    context,
    ...options
  }: BrowserContextOptions & { path?: string; url?: string; context?: BrowserContext } = {}): Promise<Tab> {
    const tab = await this.newTab(context ?? (await this.#newContext(options)))
    await tab.page.goto(new URL(path, url).href)
    return tab
  }

  /** An empty tab, by default in a new browser profile. */
  async newTab(context?: BrowserContext): Promise<Tab> {
    return await Tab.open(context ?? (await this.#newContext({})))
  }

  async #newContext(options: BrowserContextOptions): Promise<BrowserContext> {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 900 },
      locale: 'en-GB',
      ...options,
    })
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    this.#contexts.push(context)
    return context
  }

  /** Closes every tab, so that the next test starts with none. */
  async closeTabs(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()))
  }

  /**
   * Stops the server, runs `meanwhile`, and starts another server at the same address.
   * @param meanwhile receives a server on the same database, at an address that the page does not know
   */
  async restart(meanwhile?: (elsewhere: TestApp) => Promise<void>): Promise<void> {
    const storage = this.#storage
    const { clock } = this.app
    await this.app.stop()
    if (meanwhile) {
      const elsewhere = await startApp({ storage, clock })
      await meanwhile(elsewhere)
      await elsewhere.stop()
    }
    const demoToken = () => this.#token()
    this.app = await startApp({ storage, clock, environment: this.#environment, demoToken })
  }

  async stop(): Promise<void> {
    await this.browser.close()
    await this.app.stop()
    await this.#storage.drop()
  }
}

/** A browser tab, and the problems that its browser reports. */
export class Tab {
  readonly page: Page
  /** Errors on the console and in scripts, and violations of the Content-Security-Policy. */
  readonly problems: string[] = []

  private constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(10_000)
    page.on('pageerror', (error) => this.problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') this.problems.push(`${message.text()} ${message.location().url}`)
    })
  }

  static async open(context: BrowserContext): Promise<Tab> {
    const tab = new Tab(await context.newPage())
    await tab.page.addInitScript(() =>
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
        throw new Error(`breach of ${effectiveDirective} by ${blockedURI}`)
      }),
    )
    return tab
  }

  /** The row of the key whose note or start is given. */
  row(text: string): Locator {
    return this.page
      .getByRole('list', { name: 'Your API keys' })
      .getByRole('listitem')
      .filter({ hasText: text })
  }

  /** Resolves when a key's row shows this number of calls. */
  async shows(text: string, calls: number): Promise<void> {
    const count = this.row(text).locator('.cell-calls .count')
    await count.filter({ hasText: new RegExp(`^${calls}$`) }).waitFor()
  }

  /** Resolves when the page shows this state of its live connection. */
  async isLive(state: 'Live' | 'Reconnecting…' | 'Offline' = 'Live', withinMs = 10_000): Promise<void> {
    await this.page.getByText(state, { exact: true }).waitFor({ timeout: withinMs })
  }

  /** Records the texts of alerts from now on. Returns a function that returns them. */
  async watchAlerts(): Promise<() => Promise<string[]>> {
    const seen = await this.page.evaluateHandle(() => {
      const seen: string[] = []
      const root = document.querySelector('latchkey-keys')?.shadowRoot
      if (!root) throw new Error('There is no element in the page.')
      const look = () => {
        for (const { textContent } of root.querySelectorAll('[role=alert]')) seen.push(textContent ?? '')
      }
      new MutationObserver(look).observe(root, { childList: true, subtree: true, characterData: true })
      return seen
    })
    return () => seen.jsonValue()
  }

  /** Holds back every request to the API. Resolves to a function that releases them. */
  async holdRequests(): Promise<() => void> {
    let letGo = () => {}
    const gone = new Promise<void>((resolve) => {
      letGo = resolve
    })
    await this.page.route('**/graphql', async (route) => {
      await gone
      await route.continue()
    })
    return letGo
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(screenshotFolder, { recursive: true })
    await this.page.screenshot({ path: `${screenshotFolder}/${name}.png`, animations: 'disabled' })
  }
}
