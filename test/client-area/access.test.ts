import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

describe.runIf(hasBrowser)('Configure Access', () => {
  let area: ClientArea
  let key: Awaited<ReturnType<ClientArea['firstKey']>>
  let tab: Tab

  beforeAll(async () => {
    area = await ClientArea.start()
  })
  afterAll(() => area?.stop())
  beforeEach(async () => {
    await area.newCustomer({ maxApiKeys: 2 })
    key = await area.firstKey()
    tab = await area.open()
    await accessButton().click()
    await dialog().waitFor()
  })
  afterEach(async () => {
    expect(tab.problems).toEqual([])
    await area.closeTabs()
  })

  const accessButton = () => tab.row(key.start).getByRole('button', { name: /Configure Access/ })
  const dialog = () => tab.page.getByRole('dialog', { name: 'Configure Access' })
  const radio = (name: RegExp) => dialog().getByRole('radio', { name })
  const tick = (name: RegExp | string) => dialog().getByRole('checkbox', { name, exact: true })
  const chosen = (count: string) => dialog().getByText(`${count} of 41 selected`).waitFor()
  const names = async () => (await area.firstKey()).access.apiCalls.map(({ name }) => name).toSorted()
  async function save() {
    await dialog().getByRole('button', { name: 'Save access' }).click()
    await dialog().waitFor({ state: 'detached' })
  }

  it('restricts a key to selected calls, shows it by its colour, and gives it full access again', async () => {
    const colour = () => accessButton().evaluate((element) => getComputedStyle(element).backgroundColor)
    expect(await radio(/^Full access/).isChecked()).toBe(true)
    const full = await colour()
    await radio(/^Only selected calls/).check()
    await chosen('0')
    await dialog().getByText('With nothing selected, every call with this key is refused.').waitFor()
    await tick(/^Ping/).check()
    await tick(/^Uptime report/).check()
    await chosen('2')
    await save()
    await accessButton().getByText('2 calls').waitFor()
    expect(await names()).toEqual(['v3.ping', 'v3.uptime-monitors.report'])
    await expect.poll(colour).not.toBe(full)
    const codes = ['v3.ping', 'v3.account.limits'].map((call) => area.gateway.meter(key.secret, call))
    expect((await Promise.all(codes)).map(({ code }) => code)).toEqual(['ADMITTED', 'ACCESS_DENIED'])

    await accessButton().click()
    await chosen('2')
    await radio(/^Full access/).check()
    await save()
    await accessButton().getByText('Full access').waitFor()
    expect((await area.firstKey()).access.mode).toBe('FULL')
  })

  it('selects whole categories and all reads, and marks partly selected ones', async () => {
    const isHalf = (name: string) => tick(name).evaluate((box) => (box as HTMLInputElement).indeterminate)
    await radio(/^Only selected calls/).check()
    await tick('Private notes').check()
    await chosen('4')
    await tick(/^Read private notes/).uncheck()
    await chosen('3')
    expect([await isHalf('Private notes'), await tick('Private notes').isChecked()]).toEqual([true, false])
    await tick('Private notes').check()
    await tick('Private notes').uncheck()
    await chosen('0')
    await tick('All read-only calls').check()
    const { data } = await area.app.query<{ apiCalls: { name: string; kind: string }[] }, object>(
      '{ apiCalls { name kind } }',
      { as: area.customer.token },
    )
    const reads = data.apiCalls.filter(({ kind }) => kind === 'READ').map(({ name }) => name)
    await chosen(String(reads.length))
    expect(await isHalf('Private notes')).toBe(true)
    await save()
    expect(await names()).toEqual(reads.toSorted())
  })

  it('finds calls by name, title and category, and selects what was found', async () => {
    await radio(/^Only selected calls/).check()
    const search = dialog().getByRole('searchbox', { name: 'Search calls' })
    await search.fill('server AGENT list')
    await dialog().getByText('No call’s name or category matches.').waitFor()
    await search.fill('windows ADD')
    expect(await dialog().getByRole('checkbox').count()).toBe(2)
    await tick('Maintenance windows').check()
    await chosen('1')
    await search.fill('')
    await chosen('1')
    await save()
    expect(await names()).toEqual(['v3.maintenance-windows.add'])
  })

  it('changes nothing when it is cancelled', async () => {
    await radio(/^Only selected calls/).check()
    await tick(/^Ping/).check()
    await tab.page.keyboard.press('Escape')
    await dialog().waitFor({ state: 'detached' })
    expect((await area.firstKey()).access.mode).toBe('FULL')
    await accessButton().click()
    expect(await radio(/^Full access/).isChecked()).toBe(true)
  })
})
