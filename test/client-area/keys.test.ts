import type { Locator } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

describe.runIf(hasBrowser)('the list of keys', () => {
  let area: ClientArea
  let key: Awaited<ReturnType<ClientArea['firstKey']>>
  let tab: Tab

  beforeAll(async () => {
    area = await ClientArea.start()
  })
  afterAll(() => area?.stop())
  beforeEach(async () => {
    await area.newCustomer({ maxApiKeys: 2, monthlyCallQuota: 1_000 })
    key = await area.firstKey()
  })
  afterEach(async () => {
    expect(tab.problems).toEqual([])
    await area.closeTabs()
  })

  async function open(): Promise<Tab> {
    tab = await area.open()
    await tab.isLive()
    return tab
  }

  const button = (name: string | RegExp) => tab.page.getByRole('button', { name, exact: true })
  const noteBox = () => tab.page.getByRole('textbox', { name: 'Note' })
  const clipboard = () => tab.page.evaluate(() => navigator.clipboard.readText())
  const said = (text: string) => tab.page.getByRole('status').getByText(text).waitFor()
  /** The focused element within the custom element. */
  const focused = () =>
    tab.page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.getAttribute('aria-label'))
  const isFocusWithin = (dialog: Locator) => () =>
    dialog.evaluate((dialog) => dialog.contains((dialog.getRootNode() as ShadowRoot).activeElement))
  const codeOf = async (secret: string, apiCall?: string) => (await area.gateway.meter(secret, apiCall)).code

  it('shows all details of each key and of the account', async () => {
    await area.customer.addApiKey({ note: 'Reports', access: { mode: 'RESTRICTED', apiCalls: ['v3.ping'] } })
    for (let calls = 0; calls < 3; calls++) await area.gateway.meter(key.secret)
    await open()
    const [first, second] = [tab.row(key.start), tab.row('Reports')]
    await first.getByText('Full access').waitFor()
    await first
      .locator('.cell-last')
      .getByText(/ago|now/)
      .waitFor()
    await first.locator('.cell-added time').waitFor()
    await tab.shows(key.start, 3)
    await second.getByText('1 call', { exact: true }).waitFor()
    await second.locator('.cell-last').getByText('Never').waitFor()
    const calls = tab.page.getByRole('meter', { name: /^Calls used this month/ })
    expect(await calls.getAttribute('aria-valuetext')).toBe('3 of 1,000')
    await tab.page.getByText('997 calls left').waitFor()
    const { resetsAt } = (await area.customer.account()).usage
    expect(await tab.page.locator('.stat-calls time').getAttribute('datetime')).toBe(resetsAt)
    await tab.page.locator('.stat-calls time').getByText('UTC').waitFor()
    const keys = tab.page.getByRole('meter', { name: /^API keys in use/ })
    expect(await keys.getAttribute('aria-valuetext')).toBe('2 of 2')
  })

  it('copies the start of a key', async () => {
    await open()
    await tab.row(key.start).getByRole('button', { name: 'Copy the start' }).click()
    await said('Copied')
    expect(await clipboard()).toBe(key.start)
  })

  it('fetches the secret when it is shown, and not before', async () => {
    const bodies: string[] = []
    tab = await area.newTab()
    tab.page.on('response', async (response) => {
      if (response.url().endsWith('/graphql')) bodies.push(await response.text().catch(() => ''))
    })
    await tab.page.goto(area.url)
    await tab.isLive()
    expect(bodies.join('')).not.toContain(key.secret)
    await button(/^Show key: /).click()
    const dialog = tab.page.getByRole('dialog', { name: 'Show the key' })
    await dialog.getByText(key.secret, { exact: true }).waitFor()
    await dialog.getByRole('button', { name: 'Copy' }).first().click()
    await said('Copied')
    expect(await clipboard()).toBe(key.secret)
    await dialog.getByText(/^curl .*/).waitFor()
    await dialog.getByRole('button', { name: 'Copy' }).last().click()
    await expect.poll(clipboard).toMatch(new RegExp(`^curl .*${key.secret}`))
  })

  it('says how to get a new secret if the old one cannot be shown', async () => {
    await area.app.sql('update api_key set sealed_secret = null where start = $1', key.start)
    await open()
    await button(/^Show key: /).click()
    await tab.page.getByRole('dialog', { name: 'This key cannot be shown again' }).waitFor()
    await button('Re-generate API Key').click()
    await tab.page.getByRole('alertdialog', { name: 'Re-generate this API key?' }).waitFor()
  })

  it('adds a key with note and access, shows its secret once, and is disabled at the plan’s limit', async () => {
    await open()
    await button('Add a new API Key').click()
    await noteBox().fill('Deployments')
    await tab.page.getByRole('radio', { name: /^Only selected calls/ }).check()
    await tab.page.getByRole('checkbox', { name: /^Ping/ }).check()
    await button('Add API Key').click()
    const dialog = tab.page.getByRole('alertdialog', { name: 'Your new API key' })
    const secret = (await dialog.locator('code').first().textContent()) ?? ''
    await expect.poll(isFocusWithin(dialog)).toBe(true)
    expect(await dialog.locator('code').last().textContent()).toMatch(new RegExp(`^curl .*${secret}`))
    expect([await codeOf(secret), await codeOf(secret, 'v3.account.limits')]).toEqual([
      'ADMITTED',
      'ACCESS_DENIED',
    ])
    await dialog.getByRole('button', { name: 'Done' }).click()
    await dialog.waitFor({ state: 'detached' })
    await tab.row('Deployments').getByText('1 call', { exact: true }).waitFor()
    await tab.shows('Deployments', 1)
    const add = button('Add a new API Key')
    expect(await add.getAttribute('aria-disabled')).toBe('true')
    await tab.page.getByText('Your Plan plan allows 2 keys.').waitFor()
    await add.click({ force: true })
    expect(await tab.page.getByRole('dialog').count()).toBe(0)
  })

  it('says that the limit was reached elsewhere in the meantime, and keeps the input', async () => {
    await open()
    await button('Add a new API Key').click()
    await noteBox().fill('Slower')
    // Keep the page from learning of it by refetching after a change.
    await tab.page.route('**/graphql', async (route) => {
      const isAdding = route.request().postData()?.includes('mutation AddApiKey')
      await (isAdding ? route.continue() : route.abort())
    })
    await area.customer.addApiKey({ note: 'Faster' })
    await tab.page.getByText('The server cannot be reached').waitFor()
    await button('Add API Key').click()
    await tab.page.getByRole('alert').getByText('Your Plan plan allows 2 keys.').waitFor()
    expect(await noteBox().inputValue()).toBe('Slower')
    expect((await area.customer.account()).apiKeys.totalCount).toBe(2)
    tab.problems.length = 0
  })

  it('re-generates a key after explaining the effect', async () => {
    await area.gateway.meter(key.secret)
    await open()
    await button(/^Re-generate API Key: /).click()
    const question = tab.page.getByRole('alertdialog', { name: 'Re-generate this API key?' })
    for (const text of [key.start, /The old secret stops working immediately/, /It was last called/])
      await question.getByText(text).waitFor()
    await question.getByRole('button', { name: 'Re-generate API Key' }).click()
    const dialog = tab.page.getByRole('alertdialog', { name: 'Your API key has a new secret' })
    const secret = (await dialog.locator('code').first().textContent()) ?? ''
    expect([await codeOf(key.secret), await codeOf(secret)]).toEqual(['KEY_INVALID', 'ADMITTED'])
    await dialog.getByRole('button', { name: 'Done' }).click()
    const start = (await area.firstKey()).start
    await tab.row(start).waitFor()
    await tab.shows(start, 2)
  })

  it('removes a key after naming it, which makes room for another', async () => {
    const { secret } = await area.customer.addApiKey({ note: 'Old server' })
    await open()
    await tab
      .row('Old server')
      .getByRole('button', { name: /^Remove API Key/ })
      .click()
    const question = tab.page.getByRole('alertdialog', { name: 'Remove this API key?' })
    for (const text of ['“Old server”', 'It has never been called.']) await question.getByText(text).waitFor()
    await question.getByRole('button', { name: 'Cancel' }).click()
    await question.waitFor({ state: 'detached' })
    await expect.poll(focused).toMatch(/^Remove API Key: “Old server”/)
    await tab.page.keyboard.press('Enter')
    await question.getByRole('button', { name: 'Remove API Key' }).click()
    await tab.row('Old server').waitFor({ state: 'detached' })
    // The button that opened the dialog is gone, so the focus moves to the top of the page.
    const tag = () => tab.page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.tagName)
    await expect.poll(tag).toBe('H1')
    expect(await codeOf(secret)).toBe('KEY_INVALID')
    await tab.page.getByText('1 of 2').waitFor({ state: 'attached' })
    expect(await button('Add a new API Key').getAttribute('aria-disabled')).toBe('false')
  })

  it('saves a note with Enter or the button, changes it, clears it, and cancels with Esc', async () => {
    const noteIs = (note: string | null) => expect.poll(async () => (await area.firstKey()).note).toBe(note)
    await open()
    await button(/^Add note/).click()
    await noteBox().fill('  Billing  ')
    await tab.page.keyboard.press('Enter')
    await noteIs('Billing')
    await button('Change the note “Billing”').click()
    await noteBox().fill('Nothing that stays')
    await tab.page.keyboard.press('Escape')
    await button('Change the note “Billing”').click()
    await noteBox().fill('Billing and mail')
    await button('Save the note').click()
    await noteIs('Billing and mail')
    await expect.poll(focused).toBe('Change the note “Billing and mail”')
    await button('Change the note “Billing and mail”').click()
    await noteBox().fill('')
    await tab.page.keyboard.press('Enter')
    await noteIs(null)
    await button(/^Add note/).waitFor()
  })

  it('says what is wrong with a note, and lets the customer correct it', async () => {
    await open()
    await button(/^Add note/).click()
    await noteBox().fill('bell\u0007')
    await tab.page.keyboard.press('Enter')
    await tab.page.getByRole('alert').getByText('Control characters are not allowed.').waitFor()
    expect(await noteBox().inputValue()).toBe('bell\u0007')
    await noteBox().fill('bell')
    await tab.page.keyboard.press('Enter')
    await tab.row('bell').waitFor()
  })

  it('is fully usable by keyboard; dialogs trap the focus and return it', async () => {
    await open()
    const { keyboard } = tab.page
    const tabTo = async (name: RegExp) => {
      for (let steps = 0; steps < 30; steps++) {
        await keyboard.press('Tab')
        if (name.test((await focused()) ?? '')) return
      }
      throw new Error(`The keyboard does not come to ${name}.`)
    }
    await tabTo(/^Add note/)
    await keyboard.press('Enter')
    await keyboard.type('By hand')
    await keyboard.press('Enter')
    await tab.row('By hand').waitFor()
    await tabTo(/^Show key/)
    await keyboard.press('Space')
    await tab.page.getByRole('dialog').getByText(key.secret, { exact: true }).waitFor()
    for (let steps = 0; steps < 8; steps++) {
      await keyboard.press('Tab')
      await expect.poll(isFocusWithin(tab.page.getByRole('dialog'))).toBe(true)
    }
    await keyboard.press('Escape')
    await tab.page.getByRole('dialog').waitFor({ state: 'detached' })
    await expect.poll(focused).toMatch(/^Show key/)
  })

  it('is read-only for a token without keys:write', async () => {
    const token = await area.app.token({ account: area.customer.externalId, scopes: ['keys:read'] })
    tab = await area.newTab()
    await tab.page.route('**/client-area/session', (route) =>
      route.fulfill({ json: { mode: 'development', token } }),
    )
    await tab.page.goto(area.url)
    await tab.isLive()
    expect(await button('Add a new API Key').getAttribute('aria-disabled')).toBe('true')
    await tab.page.getByText('You can view the keys here, but not change them.').waitFor()
    expect(await button(/^(Remove|Re-generate)/).count()).toBe(0)
  })
})
