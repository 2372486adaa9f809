import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page, type Request } from 'playwright-core'

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'

/** Whether there is a browser; where there is none, it is said that tests are left out, or they fail. */
export const hasBrowser = existsSync(executablePath)
if (!hasBrowser) {
  const missing = `No browser at ${executablePath} (CHROMIUM says where one is)`
  if (process.env.REQUIRE_SERVICES) throw new Error(`${missing}, and one is required.`)
  process.stdout.write(`\n  ${missing}: the tests that need it are LEFT OUT.\n\n`)
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A window on GraphiQL, as someone uses it. */
export class GraphiqlWindow {
  readonly page: Page
  /** Every address that anything was loaded from. */
  readonly loadedFrom: string[] = []
  /** What the browser's console has by way of errors. */
  readonly errors: string[] = []

  private constructor(page: Page) {
    this.page = page
    page.setDefaultTimeout(20_000)
    page.on('request', (request) => this.loadedFrom.push(request.url()))
    page.on('pageerror', (error) => this.errors.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text())
    })
  }

  /** Opens the page in a browser profile of its own. */
  static async open(browser: Browser, url: string): Promise<GraphiqlWindow> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const window = new GraphiqlWindow(await context.newPage())
    await window.load(`${url}/graphql`)
    return window
  }

  /** Resolves when the page is ready to run operations and has read the schema. */
  async load(url: string): Promise<void> {
    const schema = this.page.waitForResponse(
      (response) => response.request().postData()?.includes('__schema') ?? false,
    )
    await this.page.goto(url)
    await schema
    await this.page.locator('.graphiql-query-editor .view-line').first().waitFor()
  }

  async reload(): Promise<void> {
    await this.load(this.page.url())
  }

  async tabs(): Promise<string[]> {
    return await this.page.locator('.graphiql-tab-button').allInnerTexts()
  }

  /** Turns to a tab, and resolves when its operation stands in the editor. */
  async turnTo(tab: string): Promise<void> {
    await this.page.locator(`.graphiql-tab-button[title="${tab}"]`).click()
    await this.#shows('.graphiql-query-editor', new RegExp(`(query|mutation|subscription) ${tab}\\b`))
  }

  /**
   * Presses the play button, and resolves when the operation is sent. GraphiQL reads the editor a moment after its
   * text has changed; until then it looks for the last tab's operation and sends nothing.
   */
  async play(): Promise<Request> {
    const button = this.page.locator('.graphiql-execute-button')
    for (;;) {
      const sent = this.page.waitForRequest((request) => request.method() === 'POST', { timeout: 1_000 })
      const [request] = await Promise.all([sent.catch(() => null), button.click()])
      if (request) return request
      await this.result(/Cannot infer operation/)
    }
  }

  /** Presses play, and resolves to what the server answers. */
  async answer(): Promise<{ data?: unknown; errors?: { message: string }[] }> {
    const response = await (await this.play()).response()
    return await response?.json()
  }

  /** Turns to a tab, and does so there. */
  async run(tab: string) {
    await this.turnTo(tab)
    return await this.answer()
  }

  /** Resolves when what the result pane shows holds the pattern. */
  async result(pattern: RegExp): Promise<void> {
    await this.#shows('.graphiql-response', pattern)
  }

  /** Replaces the headers of the tab. */
  async setHeaders(headers: object): Promise<void> {
    await this.page.getByRole('button', { name: 'Headers', exact: true }).click()
    await this.page.locator('.graphiql-editor-tool .graphiql-editor:visible .view-lines').click()
    await this.page.keyboard.press('Control+A')
    await this.page.keyboard.insertText(JSON.stringify(headers))
    // The editor closes brackets and quotes by itself.
    await this.page.keyboard.press('Control+Shift+End')
    await this.page.keyboard.press('Delete')
  }

  /** The editors render spaces as no-break spaces, and only the lines in sight. */
  async #shows(selector: string, { source }: RegExp): Promise<void> {
    await this.page.waitForFunction(
      ([selector = '', source = '']) => {
        const lines = [...document.querySelectorAll<HTMLElement>(`${selector} .view-line`)]
        lines.sort((a, b) => Number.parseInt(a.style.top, 10) - Number.parseInt(b.style.top, 10))
        const text = lines.map((line) => line.textContent?.replaceAll('\u00a0', ' ')).join('\n')
        return new RegExp(source).test(text)
      },
      [selector, source],
    )
  }
}
