import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'
import { type ExampleHost, startExampleHost } from '../support/example-host.ts'
import { freePort } from '../support/free-port.ts'

describe.runIf(hasBrowser)('the client area in a host page of another origin, in production', () => {
  let area: ClientArea
  let host: ExampleHost
  let key: Awaited<ReturnType<ClientArea['firstKey']>>

  beforeAll(async () => {
    const port = String(await freePort())
    const origin = `http://127.0.0.1:${port}`
    area = await ClientArea.start({
      environment: {
        NODE_ENV: 'production',
        CLIENT_AREA: 'on',
        CLIENT_AREA_ORIGIN: origin,
        CORS_ORIGINS: origin,
      },
    })
    key = await area.firstKey()
    host = await startExampleHost({
      PORT: port,
      LATCHKEY_URL: area.url,
      AUTH_SECRET: new TextDecoder().decode(area.app.config.auth.secret),
      ACCOUNT: area.customer.externalId,
    })
  })
  afterAll(async () => {
    await host?.stop()
    await area?.stop()
  })
  afterEach(() => area.closeTabs())

  const callsOf = async () => (await area.firstKey()).usage.calls

  describe('as an element', () => {
    it('shows the keys with live counts, and works', async () => {
      const tab = await area.open({ url: host.origin })
      await tab.isLive()
      await area.gateway.meter(key.secret)
      await tab.shows(key.start, await callsOf())
      await tab.page.getByRole('button', { name: /^Show key/ }).click()
      await tab.page.getByText(key.secret, { exact: true }).waitFor()
      await tab.screenshot('embedding-element')
      expect(tab.problems).toEqual([])
    })

    it('is isolated from the styles of the host page, and vice versa', async () => {
      const tab = await area.open({ url: host.origin })
      await tab.isLive()
      await tab.page.evaluate(() => {
        const sheet = new CSSStyleSheet()
        sheet.replaceSync('button { border: 7px solid red !important; text-transform: uppercase !important }')
        document.adoptedStyleSheets = [sheet]
        document.body.append(Object.assign(document.createElement('button'), { textContent: 'Outside' }))
      })
      const looksOf = (name: string) =>
        tab.page.getByRole('button', { name }).evaluate((button) => {
          const { borderTopWidth, borderRadius, textTransform } = getComputedStyle(button)
          return { borderTopWidth, borderRadius, textTransform }
        })
      const [outside, inside] = [await looksOf('Outside'), await looksOf('Add a new API Key')]
      expect(outside).toMatchObject({ borderTopWidth: '7px', textTransform: 'uppercase' })
      expect(inside).toMatchObject({ borderTopWidth: '1px', textTransform: 'none' })
      // A rule for all of the element's buttons rounds them.
      expect(outside.borderRadius).not.toBe(inside.borderRadius)
    })

    it('says why the host page has no token, and recovers when there is one', async () => {
      const tab = await area.newTab()
      await tab.page.route('**/token', (route) => route.fulfill({ status: 401 }))
      await tab.page.goto(host.origin)
      const problem = tab.page.getByRole('alert')
      await problem.getByText('You are signed out').waitFor()
      await problem.getByText('The customer is signed out.').waitFor()
      await tab.page.unroute('**/token')
      await tab.isLive('Live', 30_000)
      await problem.waitFor({ state: 'detached' })
    })

    it('cannot use the API from a site that CORS_ORIGINS does not list', async () => {
      const tab = await area.open({ url: host.strangeOrigin })
      await tab.page.getByText('The server cannot be reached').first().waitFor()
      expect(await tab.row('').count()).toBe(0)
      expect(tab.problems.join('\n')).toContain('blocked by CORS policy')
    })
  })

  describe('in an iframe', () => {
    it('gets its token from the host page, and shows the keys with live counts', async () => {
      const tab = await area.open({ url: host.origin, path: '/iframe.html' })
      const frame = tab.page.frameLocator('iframe')
      await frame.getByText('Live', { exact: true }).waitFor()
      await area.gateway.meter(key.secret)
      const count = frame.getByRole('listitem').filter({ hasText: key.start }).locator('.cell-calls .count')
      await count.filter({ hasText: new RegExp(`^${await callsOf()}$`) }).waitFor()
      await tab.screenshot('embedding-frame')
      expect(tab.problems).toEqual([])
    })

    it('cannot be framed by another site', async () => {
      const tab = await area.open({ url: host.strangeOrigin, path: '/iframe.html' })
      await expect.poll(() => tab.problems.join('\n'), { timeout: 10_000 }).toContain('frame-ancestors')
      expect(tab.page.frames().map((frame) => frame.url())).not.toContain(`${area.url}/`)
    })
  })

  describe('in its own window', () => {
    /** Opens the page from a page of this origin, which records the messages it receives. */
    async function openFrom(
      origin: string,
    ): Promise<{ opener: Tab; page: Page; asked(): Promise<string[]> }> {
      const opener = await area.open({ url: origin, path: '/host.css' })
      const opened = opener.page.waitForEvent('popup')
      const asked = await opener.page.evaluateHandle((url) => {
        const asked: string[] = []
        addEventListener('message', ({ data, origin }) => asked.push(`${data?.type} of ${origin}`))
        Object.assign(window, { latchkey: window.open(url) })
        return asked
      }, `${area.url}/`)
      const page = await opened
      await page.waitForURL(`${area.url}/`)
      return { opener, page, asked: () => asked.jsonValue() }
    }

    /**
     * Sends the opened page a token repeatedly, because it may not be listening yet.
     * @param giver the opener, or a page opened by it
     */
    const give = (giver: Page, token: string) =>
      giver.evaluate((token) => {
        const { latchkey } = (window.opener ?? window) as { latchkey: Window }
        setInterval(() => latchkey.postMessage({ type: 'latchkey:token', token }, '*'), 50)
      }, token)

    /** Resolves when the page has received a token from anyone. */
    const given = async (page: Page) => {
      await page.evaluate(() =>
        addEventListener('message', ({ data }) => document.body.setAttribute('data-given', data.type)),
      )
      await page.locator('body[data-given="latchkey:token"]').waitFor()
    }

    it('gets its token from the site that opened it, if that is the host', async () => {
      const { opener, page, asked } = await openFrom(host.origin)
      await expect.poll(asked, { timeout: 10_000 }).toContain(`latchkey:get-token of ${area.url}`)
      await give(opener.page, await area.customerToken())
      await page.getByText('Live', { exact: true }).waitFor()
    })

    it('neither requests a token from another site nor accepts one from it', async () => {
      const { opener, page, asked } = await openFrom(host.strangeOrigin)
      const sent: string[] = []
      page.on('request', (request) => {
        if (request.headers().authorization) sent.push(request.url())
      })
      await give(opener.page, await area.customerToken())
      await given(page)
      await page.getByText('You are signed out').first().waitFor()
      expect(await asked()).toEqual([])
      expect(sent).toEqual([])
      expect(await page.getByText(key.start).count()).toBe(0)
    })

    it('accepts none from another window of the host', async () => {
      const { opener, page, asked } = await openFrom(host.origin)
      await expect.poll(asked, { timeout: 10_000 }).toContain(`latchkey:get-token of ${area.url}`)
      const opened = opener.page.waitForEvent('popup')
      await opener.page.evaluate(() => void window.open('/host.css'))
      const other = await opened
      await other.waitForURL('**/host.css')
      await give(other, await area.customerToken())
      await given(page)
      await page.getByText('You are signed out').first().waitFor()
      expect(await page.getByText(key.start).count()).toBe(0)
    })

    it('says what to do if no page opened it', async () => {
      const tab = await area.open()
      await tab.page.getByText('Open this page from your client area').first().waitFor()
      await tab.screenshot('embedding-nobody')
      expect(tab.problems).toEqual([])
    })
  })
})
