import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea } from '../support/client-area.ts'
import { createGateway } from '../support/customer.ts'

describe.runIf(hasBrowser)('the page, when something fails', () => {
  let area: ClientArea
  let key: Awaited<ReturnType<ClientArea['firstKey']>>

  beforeAll(async () => {
    area = await ClientArea.start()
  })
  afterAll(() => area?.stop())
  beforeEach(async () => {
    area.tokenLifetime = '15m'
    area.app.clock.set(new Date())
    await area.newCustomer({ maxApiKeys: 5, monthlyCallQuota: 1_000 })
    key = await area.firstKey()
  })
  afterEach(() => area.closeTabs())

  const meter = () => area.gateway.meter(key.secret)

  it('shows in one tab what another one changes', async () => {
    const first = await area.open()
    const second = await area.open({ context: first.page.context() })
    await Promise.all([first.isLive(), second.isLive()])

    await first
      .row(key.start)
      .getByRole('button', { name: /^Add note/ })
      .click()
    await first.page.getByRole('textbox', { name: 'Note' }).fill('Written in the first tab')
    await first.page.keyboard.press('Enter')
    await second.row('Written in the first tab').waitFor()

    await second.page.getByRole('button', { name: 'Add a new API Key' }).click()
    await second.page.getByRole('textbox', { name: 'Note' }).fill('Added in the second tab')
    await second.page.getByRole('button', { name: 'Add API Key', exact: true }).click()
    await first.row('Added in the second tab').waitFor()
    expect(await first.row('').count()).toBe(2)

    const removed = (await area.customer.account()).apiKeys.nodes.find(({ id }) => id !== key.id)
    await area.app.query('mutation ($id: ID!) { removeApiKey(input: { id: $id }) { __typename } }', {
      as: area.customer.token,
      variables: { id: removed?.id },
    })
    await first.row('Added in the second tab').waitFor({ state: 'detached' })
    await second.row('Added in the second tab').waitFor({ state: 'detached' })
    expect([first.problems, second.problems]).toEqual([[], []])
  })

  it('says that the server is unreachable, and catches up when it is back', async () => {
    const tab = await area.open()
    await tab.isLive()
    await meter()
    await tab.shows(key.start, 1)
    await area.restart(async (elsewhere) => {
      await tab.isLive('Reconnecting…')
      await tab.screenshot('robustness-server-away')
      const gateway = await createGateway(elsewhere)
      for (let calls = 0; calls < 3; calls++) await gateway.meter(key.secret)
      // The last count is still shown.
      await tab.shows(key.start, 1)
    })
    await tab.isLive()
    await tab.shows(key.start, 4)
    await meter()
    await tab.shows(key.start, 5)
    expect(tab.problems.filter((problem) => !/WebSocket|Failed to load/.test(problem))).toEqual([])
  })

  it('renews its token before it expires, without showing anything', async () => {
    area.tokenLifetime = '8s'
    const tab = await area.open()
    await tab.isLive()
    const given = area.tokensGiven
    const alerts = await tab.watchAlerts()
    await expect.poll(() => area.tokensGiven, { timeout: 30_000 }).toBeGreaterThanOrEqual(given + 2)
    await meter()
    await tab.shows(key.start, 1)
    await tab.isLive()
    expect(await alerts()).toEqual([])
    expect(tab.problems).toEqual([])
  })

  it('continues with a new token when the current one is refused', async () => {
    const tab = await area.open()
    await tab.isLive()
    const given = area.tokensGiven
    const alerts = await tab.watchAlerts()
    // On the server's clock every known token has expired, before the page can know.
    area.tokenLifetime = '2h'
    area.app.clock.set(new Date(area.app.clock.now().getTime() + 3_600_000))
    await expect.poll(() => area.tokensGiven, { timeout: 10_000 }).toBeGreaterThan(given)
    await meter()
    await tab.shows(key.start, 1)
    await tab.isLive()
    expect(await alerts()).toEqual([])
  })

  it('keeps its content and says that the device is offline; then catches up by itself', async () => {
    const tab = await area.open()
    await tab.isLive()
    await tab.page.context().setOffline(true)
    // Going offline does not close WebSockets in the browser, so the server does.
    await area.restart(() => tab.isLive('Offline'))
    await meter()
    await tab.screenshot('robustness-offline')
    await tab.page.context().setOffline(false)
    await tab.isLive()
    await tab.shows(key.start, 1)
  })

  it('says what to do when nothing can be loaded, and retries on request', async () => {
    const tab = await area.newTab()
    // The page's clock stands still, so that it does not retry by itself.
    const now = Date.now()
    await tab.page.clock.install({ time: now })
    await tab.page.clock.pauseAt(now + 60_000)
    await tab.page.route('**/graphql', (route) => route.abort())
    await tab.page.goto(area.url)
    await tab.page.getByRole('alert').getByText('The server cannot be reached').waitFor()
    await tab.screenshot('robustness-unreachable')
    await tab.page.unroute('**/graphql')
    await tab.page.getByRole('button', { name: 'Try again' }).click()
    await tab.row(key.start).waitFor()
    await tab.page.clock.resume()
    await tab.isLive()
    expect(await tab.page.getByRole('alert').filter({ visible: true }).count()).toBe(0)
  })

  it('recovers by itself when the network was down from the start and comes back', async () => {
    const tab = await area.newTab()
    let isDown = true
    await tab.page.route('**/graphql', (route) => (isDown ? route.abort() : route.continue()))
    await tab.page.routeWebSocket('**/graphql', (socket) => {
      if (isDown) socket.close()
      else socket.connectToServer()
    })
    await tab.page.goto(area.url)
    await tab.page.getByRole('alert').getByText('The server cannot be reached').waitFor()
    isDown = false
    await tab.row(key.start).waitFor()
    await tab.isLive()
    await meter()
    await tab.shows(key.start, 1)
  })

  it('says which action failed with the network, and completes it on retry', async () => {
    const tab = await area.open()
    await tab.isLive()
    await tab
      .row(key.start)
      .getByRole('button', { name: /^Add note/ })
      .click()
    await tab.page.getByRole('textbox', { name: 'Note' }).fill('At the second attempt')
    await tab.page.route('**/graphql', (route) => route.abort())
    await tab.page.keyboard.press('Enter')
    await tab.page.getByText('The server cannot be reached').waitFor()
    expect((await area.firstKey()).note).toBe(null)
    await tab.page.unroute('**/graphql')
    await tab.page.getByRole('button', { name: 'Save the note' }).click()
    await tab.row('At the second attempt').waitFor()
    // The page shows it before the server has received it.
    await expect.poll(async () => (await area.firstKey()).note).toBe('At the second attempt')
  })

  it('stays usable on a slow network: it shows that it is loading, and does nothing twice', async () => {
    const tab = await area.newTab()
    const letGo = await tab.holdRequests()
    await tab.page.goto(area.url)
    await tab.page.getByText('Loading your API keys…').first().waitFor({ state: 'attached' })
    await tab.screenshot('robustness-loading')
    letGo()
    await tab.isLive()
    await tab.page.getByRole('button', { name: 'Add a new API Key' }).click()
    await tab.page.getByRole('textbox', { name: 'Note' }).fill('Only once')
    const letGoOfAdding = await tab.holdRequests()
    const submit = tab.page.getByRole('button', { name: 'Add API Key', exact: true })
    await submit.click()
    await submit.click({ force: true, timeout: 2_000 }).catch(() => {})
    await tab.page.keyboard.press('Enter')
    letGoOfAdding()
    await tab.row('Only once').waitFor()
    await tab.page.getByText('Your new API key').first().waitFor()
    expect((await area.customer.account()).apiKeys.nodes).toHaveLength(2)
    expect(tab.problems).toEqual([])
  })

  it('says that the customer is signed out when there are no tokens, and recovers when there are', async () => {
    const tab = await area.open()
    await tab.isLive()
    await tab.page.route('**/client-area/session', (route) =>
      route.fulfill({ status: 403, json: { message: 'You have signed out.' } }),
    )
    area.app.clock.set(new Date(area.app.clock.now().getTime() + 3_600_000))
    await tab.page.getByText('You are signed out').first().waitFor()
    await tab.screenshot('robustness-signed-out')
    await tab.page.unroute('**/client-area/session')
    area.app.clock.set(new Date())
    // It retries by itself every few seconds.
    await tab.isLive('Live', 30_000)
    await meter()
    await tab.shows(key.start, 1)
    expect(await tab.page.getByText('You are signed out').count()).toBe(0)
  })
})
