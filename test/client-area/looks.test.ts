import axe, { type AxeResults, type Result } from 'axe-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

let area: ClientArea

beforeAll(async () => {
  if (hasBrowser) area = await ClientArea.start()
})
afterAll(() => area?.stop())

/** Every state of the page, checked with axe and saved as a screenshot. */
describe.runIf(hasBrowser).each(['light', 'dark'] as const)('the page in %s', (colorScheme) => {
  let tab: Tab
  /** The violations found so far. */
  const found: string[] = []

  afterEach(async () => {
    await area.closeTabs()
    expect(found.splice(0)).toEqual([])
  })

  const wide = { width: 1280, height: 860 }
  const narrow = { width: 360, height: 780 }
  const open = async (viewport = wide) => {
    tab = await newTab(viewport)
    await tab.page.goto(area.url)
    return tab
  }
  /** With reduced motion, so that no animation is caught half-way. */
  const newTab = (viewport = wide) =>
    area.open({ url: 'about:blank', path: 'about:blank', colorScheme, viewport, reducedMotion: 'reduce' })
  const button = (name: string | RegExp) => tab.page.getByRole('button', { name, exact: true })

  async function look(state: string): Promise<void> {
    const { width } = tab.page.viewportSize() ?? wide
    const name = `${state}-${width === wide.width ? '' : `${width}-`}${colorScheme}`
    await tab.screenshot(name)
    const widest = await tab.page.evaluate(() => document.documentElement.scrollWidth)
    if (widest > width) found.push(`${name} is ${widest} pixels wide.`)
    // A narrow screen shows the same content in another layout.
    if (width === narrow.width && state !== 'list') return
    if (!(await tab.page.evaluate(() => 'axe' in window))) await tab.page.evaluate(axe.source)
    const { violations, passes } = await tab.page.evaluate<AxeResults>(
      'axe.run(document, { elementRef: false, rules: { "target-size": { enabled: true } } })',
    )
    expect(passes.length).toBeGreaterThan(10)
    found.push(...violations.map((violation) => `${name}: ${told(violation)}`))
  }

  const told = ({ id, nodes }: Result) =>
    `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary}`).join('; ')}`

  async function withHistory() {
    const key = await area.firstKey()
    await area.app.sql(
      `with k as (select id, account_id from api_key where start = $1),
         m as (select (date_trunc('month', now()) - make_interval(months => n))::date as month,
           (1800 + 1500 * sin(n) + 140 * n)::int as calls from generate_series(1, 9) n),
         u as (insert into api_key_usage (month, api_key_id, calls, last_call_at)
           select month, id, calls, month from m, k)
       insert into account_usage (month, account_id, calls) select month, account_id, calls from m, k`,
      key.start,
    )
    return key
  }

  async function aTypicalAccount() {
    await area.newCustomer({ maxApiKeys: 5, monthlyCallQuota: 500 })
    const key = await withHistory()
    await area.app.sql('update api_key set note = $2 where start = $1', key.start, 'Backend')
    const apiCalls = ['v3.ping', 'v3.uptime-monitors.list', 'v3.private-notes.get']
    await area.customer.addApiKey({
      note: 'Status page, read only',
      access: { mode: 'RESTRICTED', apiCalls },
    })
    await area.customer.addApiKey()
    await Promise.all(Array.from({ length: 123 }, () => area.gateway.meter(key.secret)))
    return key
  }

  it.each([
    ['wide', wide],
    ['narrow', narrow],
  ])('is right in every state of an account on a %s screen', async (_name, viewport) => {
    const key = await aTypicalAccount()
    await open(viewport)
    await tab.isLive()
    await tab.row('Backend').waitFor()
    const dialog = () => tab.page.getByRole('dialog').or(tab.page.getByRole('alertdialog'))
    const close = async () => {
      await tab.page.keyboard.press('Escape')
      await dialog().waitFor({ state: 'detached' })
    }
    await look('list')

    await button('Change the note “Backend”').click()
    await look('note')
    await tab.page.getByRole('textbox', { name: 'Note' }).fill('bell\u0007')
    await tab.page.keyboard.press('Enter')
    await tab.page.getByRole('alert').waitFor()
    await look('note-problem')
    await tab.page.keyboard.press('Escape')

    await tab
      .row('Backend')
      .getByRole('button', { name: /^Show key/ })
      .click()
    await dialog().getByText(key.secret, { exact: true }).waitFor()
    await look('show')
    await close()

    await tab
      .row('Status page')
      .getByRole('button', { name: /Configure Access/ })
      .click()
    await dialog().getByText('3 of 41 selected').waitFor()
    await look('access')
    await dialog().getByRole('searchbox').fill('nothing like it')
    await look('access-nothing')
    await close()

    await button(/^History: “Backend”/).click()
    await dialog().getByRole('img').waitFor()
    await look('history')
    await close()

    await button(/^Remove API Key: “Backend”/).click()
    await look('remove')
    await close()
    await button(/^Re-generate API Key: “Backend”/).click()
    await look('regenerate')
    await dialog().getByRole('button', { name: 'Re-generate API Key' }).click()
    await dialog().getByText('Your API key has a new secret').waitFor()
    await look('regenerated')
    await close()

    await button('Add a new API Key').click()
    await look('add')
    await tab.page.getByRole('radio', { name: /^Only selected calls/ }).check()
    await dialog().getByText('0 of 41 selected').waitFor()
    await look('add-chosen')
    await tab.page.getByRole('radio', { name: /^Full access/ }).check()
    await button('Add API Key').click()
    await dialog().getByText('Your new API key').waitFor()
    await look('added')
    await close()
    expect(tab.problems).toEqual([])
  })

  it('is accessible at the plan’s limits, and when empty', async () => {
    await area.newCustomer({ maxApiKeys: 1, monthlyCallQuota: 3 })
    const key = await area.firstKey()
    for (let calls = 0; calls < 4; calls++) await area.gateway.meter(key.secret)
    await area.app.sql('update api_key set sealed_secret = null where start = $1', key.start)
    await open()
    await tab.isLive()
    await tab.shows(key.start, 3)
    await look('limits')
    await button(/^Show key/).click()
    await tab.page.getByText('This key cannot be shown again').waitFor()
    await look('show-gone')
    await tab.page.keyboard.press('Escape')
    await button(/^Remove API Key/).click()
    await button('Remove API Key').click()
    await tab.page.getByText('You have no API keys').waitFor()
    await tab.page.getByRole('alertdialog').waitFor({ state: 'detached' })
    await look('empty')
    expect(tab.problems).toEqual([])
  })

  it('is accessible while loading and when loading fails, without layout shifts', async () => {
    await area.newCustomer({ maxApiKeys: 5, monthlyCallQuota: 500 })
    await area.customer.addApiKey({ note: 'Second' })
    tab = await newTab()
    const letGo = await tab.holdRequests()
    await tab.page.goto(area.url)
    await tab.page.getByText('Loading your API keys…').waitFor()
    const places = () =>
      tab.page.locator('.stat, .keys, li.row').evaluateAll((parts) =>
        parts.map((part) => {
          const { top, height } = part.getBoundingClientRect()
          return [part.className.replace(' skeleton-row', ''), Math.round(top), Math.round(height)]
        }),
      )
    const before = await places()
    await look('loading')
    letGo()
    await tab.row('Second').waitFor()
    expect(await places()).toEqual(before)

    tab = await newTab()
    await tab.page.route('**/graphql', (route) => route.abort())
    await tab.page.goto(area.url)
    await tab.page.getByText('The server cannot be reached').waitFor()
    await look('unreachable')

    tab = await newTab()
    await tab.page.route('**/client-area/session', (route) =>
      route.fulfill({ status: 403, json: { message: 'Sign in to the client area again.' } }),
    )
    await tab.page.goto(area.url)
    await tab.page.getByText('You are signed out').waitFor()
    await look('signed-out')

    const token = await area.app.token({ scopes: ['keys:read'] })
    tab = await newTab()
    await tab.page.route('**/client-area/session', (route) =>
      route.fulfill({ json: { mode: 'development', token } }),
    )
    await tab.page.goto(area.url)
    await tab.page.getByText('No account').waitFor()
    await look('no-account')
  })

  it('is accessible when the connection is lost while the page is open', async () => {
    await area.newCustomer({ maxApiKeys: 5, monthlyCallQuota: 500 })
    const key = await area.firstKey()
    await open()
    await tab.isLive()
    await tab.row(key.start).waitFor()
    await area.restart(async () => {
      await tab.isLive('Reconnecting…')
      await look('reconnecting')
      await tab.page.context().setOffline(true)
      await tab.isLive('Offline')
      await look('offline')
      await tab.page.context().setOffline(false)
    })
  })
})

describe.runIf(hasBrowser)('the appearance of the page', () => {
  afterEach(() => area.closeTabs())

  it('can be set by the host page', async () => {
    await area.newCustomer()
    const { page } = await area.open({ colorScheme: 'light', reducedMotion: 'reduce' })
    const colours = () =>
      page
        .getByRole('button', { name: 'Add a new API Key' })
        .evaluate((button) => [getComputedStyle(button).backgroundColor, getComputedStyle(button).color])
    const light = await colours()
    await page.locator('latchkey-keys').evaluate((element) => {
      element.style.colorScheme = 'dark'
    })
    const dark = await colours()
    await page.locator('latchkey-keys').evaluate((element) => {
      element.style.setProperty('--latchkey-accent', 'rgb(1, 2, 3)')
      element.style.setProperty('--latchkey-on-accent', 'rgb(4, 5, 6)')
    })
    expect(dark).not.toEqual(light)
    expect(await colours()).toEqual(['rgb(1, 2, 3)', 'rgb(4, 5, 6)'])
  })
})
