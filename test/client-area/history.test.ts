import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

describe.runIf(hasBrowser)('counts', () => {
  let area: ClientArea
  let key: Awaited<ReturnType<ClientArea['firstKey']>>
  let tab: Tab

  beforeAll(async () => {
    area = await ClientArea.start()
  })
  afterAll(() => area?.stop())
  beforeEach(async () => {
    area.app.clock.set(new Date('2026-03-15T12:00:00Z'))
    area.tokenLifetime = '3650d'
    await area.newCustomer({ maxApiKeys: 3, monthlyCallQuota: 5 })
    key = await area.firstKey()
  })
  afterEach(async () => {
    expect(tab.problems).toEqual([])
    await area.closeTabs()
  })

  const meter = async (times = 1) => {
    for (let calls = 0; calls < times; calls++) await area.gateway.meter(key.secret)
  }
  const total = (calls: string) =>
    tab.page.locator('.stat-calls .count').getByText(calls, { exact: true }).waitFor()

  it('increase as calls are made, are highlighted, and stop at the quota', async () => {
    tab = await area.open()
    await tab.isLive()
    await tab.shows(key.start, 0)
    expect(await tab.page.locator('.count.changed').count()).toBe(0)
    await meter()
    await tab.shows(key.start, 1)
    await total('1')
    const lit = tab.row(key.start).locator('.count.changed')
    expect(await lit.evaluate((count) => getComputedStyle(count).animationName)).toBe('count-changed')
    await meter(5)
    await tab.shows(key.start, 5)
    await tab.page.getByText('No calls left').waitFor()
    expect(await tab.page.locator('.meter').first().getAttribute('data-level')).toBe('full')
  })

  it('are not highlighted with reduced motion', async () => {
    tab = await area.open({ reducedMotion: 'reduce' })
    await tab.isLive()
    await tab.shows(key.start, 0)
    await meter()
    await tab.shows(key.start, 1)
    const lit = tab.row(key.start).locator('.count.changed')
    expect(await lit.evaluate((count) => getComputedStyle(count).animationName)).toBe('none')
  })

  it('restart with the month while the page is open', async () => {
    tab = await area.open()
    await tab.isLive()
    await meter(2)
    await tab.shows(key.start, 2)
    area.app.clock.set(new Date('2026-04-01T00:00:01Z'))
    await tab.page.getByText('Calls in April 2026').waitFor()
    await tab.shows(key.start, 0)
    await total('0')
    // The time of the last call is still shown.
    await tab.row(key.start).locator('.cell-last time').waitFor()
    await meter()
    await tab.shows(key.start, 1)
  })

  describe('of twelve months', () => {
    beforeEach(async () => {
      await area.app.sql(
        `with k as (select id, account_id from api_key where start = $1),
           m as (select month, calls from (values (date '2026-01-01', 1200), (date '2025-04-01', 34)) m (month, calls)),
           u as (insert into api_key_usage (month, api_key_id, calls, last_call_at)
             select month, id, calls, month from m, k)
         insert into account_usage (month, account_id, calls) select month, account_id, calls + 7 from m, k`,
        key.start,
      )
      await meter(3)
      tab = await area.open()
    })

    const dialog = () => tab.page.getByRole('dialog', { name: 'Calls by month' })
    const rows = () => dialog().getByRole('row').allInnerTexts()
    async function download() {
      const started = tab.page.waitForEvent('download')
      await dialog().getByRole('button', { name: 'Download CSV' }).click()
      const file = await started
      return { name: file.suggestedFilename(), text: await readFile(await file.path(), 'utf8') }
    }

    it('are shown for a key as a chart and a table, and can be downloaded', async () => {
      await tab
        .row(key.start)
        .getByRole('button', { name: /^History/ })
        .click()
      await dialog()
        .getByRole('img', {
          name: /^Bar chart .* 1,237 in total, with the most in January 2026 \(1,200\)\.$/,
        })
        .waitFor()
      const table = await rows()
      expect(table).toHaveLength(14)
      expect(table[1]).toMatch(/^March 2026 so far\s+3$/)
      expect(table[3]).toMatch(/^January 2026\s+1,200$/)
      expect(table[13]).toMatch(/^Total\s+1,237$/)
      await dialog().getByText('Months are in UTC.').waitFor()
      const bars = await dialog()
        .locator('.bar-fill')
        .evaluateAll((bars) => bars.map((bar) => bar.getAttribute('height')))
      expect(bars.filter((height) => Number(height) > 0)).toHaveLength(3)
      const { name, text } = await download()
      expect(name).toBe(`api-calls-${key.start}.csv`)
      const lines = text.split('\r\n')
      expect([lines[0], lines[1], lines[10], lines[12]]).toEqual([
        'month,calls',
        '2025-04,34',
        '2026-01,1200',
        '2026-03,3',
      ])
    })

    it('are shown for the account, and stay live', async () => {
      await tab.page.getByRole('button', { name: 'Account history' }).click()
      await dialog()
        .getByRole('img', { name: /1,251 in total/ })
        .waitFor()
      const table = await rows()
      expect(table[1]).toMatch(/^March 2026 so far\s+3$/)
      expect(table[12]).toMatch(/^April 2025\s+41$/)
      expect((await download()).name).toBe('api-calls-account.csv')
      await meter()
      await dialog()
        .getByRole('row', { name: /^March 2026 so far 4$/ })
        .waitFor()
    })
  })
})
