import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

describe.runIf(hasBrowser)('the page and its secrets', () => {
  let area: ClientArea
  let key: Awaited<ReturnType<ClientArea['firstKey']>>

  beforeAll(async () => {
    area = await ClientArea.start()
  })
  afterAll(() => area?.stop())
  beforeEach(async () => {
    await area.newCustomer({ maxApiKeys: 5 })
    key = await area.firstKey()
  })
  afterEach(() => area.closeTabs())

  /** Shows the whole secret, and opens every dialog. */
  async function use({ page }: Tab): Promise<void> {
    const done = () => page.keyboard.press('Escape')
    await page.getByRole('button', { name: /^Show key/ }).click()
    await page.getByText(key.secret, { exact: true }).waitFor()
    await done()
    await page.getByRole('button', { name: /Configure Access of/ }).click()
    await page.getByRole('dialog', { name: 'Configure Access' }).waitFor()
    await done()
    await page
      .getByRole('button', { name: /^History/ })
      .first()
      .click()
    await page.getByRole('dialog', { name: 'Calls by month' }).waitFor()
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download CSV' }).click()
    expect(await readFile(await (await saved).path(), 'utf8')).toContain('month,calls')
    await done()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }

  it('violates no rule of its policy, loads nothing from other sites, and keeps its URL', async () => {
    const tab = await area.newTab()
    const elsewhere: string[] = []
    tab.page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(`${area.url}/`) && !/^(data|blob):/.test(url)) elsewhere.push(url)
    })
    await tab.page.goto(area.url)
    await tab.isLive()
    await use(tab)
    expect(tab.problems).toEqual([])
    expect(elsewhere).toEqual([])
    expect(tab.page.url()).toBe(`${area.url}/`)
  })

  it('would notice a violation', async () => {
    const tab = await area.open()
    await tab.isLive()
    const attempts: [string, () => void][] = [
      [
        'script-src-elem',
        () => document.body.append(Object.assign(document.createElement('script'), { text: '1' })),
      ],
      [
        'style-src-elem',
        () => document.head.append(Object.assign(document.createElement('style'), { textContent: 'a{}' })),
      ],
      ['style-src-attr', () => document.body.setAttribute('style', 'color: red')],
      ['img-src', () => void Object.assign(new Image(), { src: 'https://example.org/x.png' })],
      ['connect-src', () => void fetch('https://example.org/').catch(() => {})],
      ['connect-src', () => void new WebSocket('wss://example.org/')],
      [
        'form-action',
        () => {
          const form = Object.assign(document.createElement('form'), { action: 'https://example.org/' })
          document.body.append(form)
          form.submit()
        },
      ],
    ]
    for (const [directive, attempt] of attempts) {
      tab.problems.length = 0
      await tab.page.evaluate(attempt)
      await expect.poll(() => tab.problems.join('\n')).toContain(`breach of ${directive}`)
    }
  })

  it('keeps tokens and secrets in memory only', async () => {
    const tokens: string[] = []
    const tab = await area.newTab()
    tab.page.on('request', (request) => {
      const { authorization } = request.headers()
      if (authorization) tokens.push(authorization.replace('Bearer ', ''))
    })
    await tab.page.goto(area.url)
    await tab.isLive()
    await use(tab)
    expect(tokens.length).toBeGreaterThan(1)
    const { cookies, origins } = await tab.page.context().storageState({ indexedDB: true })
    expect({ cookies, origins }).toEqual({ cookies: [], origins: [] })
    const kept = await tab.page.evaluate(async () => ({
      session: { ...sessionStorage },
      caches: await caches.keys(),
      workers: (await navigator.serviceWorker.getRegistrations()).length,
      history: [history.length, history.state],
      globals: Object.keys(window).filter((name) => /token|latchkey|urql/i.test(name)),
      document:
        document.documentElement.outerHTML + document.querySelector('latchkey-keys')?.shadowRoot?.innerHTML,
    }))
    expect(kept).toMatchObject({ session: {}, caches: [], workers: 0, globals: [] })
    for (const secret of [...tokens, key.secret]) expect(JSON.stringify(kept)).not.toContain(secret)
  })

  it('shows customers’ input as text, whatever it contains', async () => {
    const note = `<img src=x onerror="document.title='taken'"><b>"bold"</b> {{7*7}} javascript:alert(1)`
    await area.app.query(
      'mutation ($id: ID!, $note: String) { setApiKeyNote(input: { id: $id, note: $note }) { __typename } }',
      {
        as: area.customer.token,
        variables: { id: key.id, note },
      },
    )
    const tab = await area.open()
    await tab.row(note).waitFor()
    await use(tab)
    expect(await tab.page.title()).toBe('API Keys')
    expect(tab.problems).toEqual([])
  })

  it('has no inline scripts, styles or event handlers', async () => {
    const html = await (await fetch(area.url)).text()
    expect(html).toMatch(/<script[^>]* src="\/client-area\/assets\/[^"]+"/)
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:|https?:\/\//i)
  })
})
