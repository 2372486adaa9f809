import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.ts'
import { ClientArea, type Tab } from '../support/client-area.ts'

/** More than one live event has. */
const keyCount = 600

/** With more work than this per frame, thirty frames per second are impossible. */
const frameMs = 1_000 / 30

describe.runIf(hasBrowser)('an account with 600 keys', () => {
  let area: ClientArea
  let tab: Tab

  beforeAll(async () => {
    area = await ClientArea.start()
    await area.newCustomer({ maxApiKeys: keyCount })
    const { start } = await area.firstKey()
    await area.app.sql(
      `insert into api_key (id, account_id, digest, start, note, access_mode, created_at)
       select id, account_id, sha256(id::text::bytea), 'lk_' || left(id::text, 6), 'Key number ' || n, access_mode, created_at
       from (select gen_random_uuid() as id, n, account_id, access_mode, created_at
         from api_key, generate_series(2, $2::int) n where start = $1) as made`,
      start,
      keyCount,
    )
    tab = await area.open()
    await tab.isLive()
  })
  afterAll(() => area?.stop())

  const shown = () => tab.page.locator('li.row[data-key]').count()

  it('fetches the keys page by page as they are about to scroll into view', async () => {
    await tab.page.getByRole('meter', { name: /^API keys/ }).waitFor()
    await expect.poll(shown).toBeGreaterThanOrEqual(50)
    expect(await shown()).toBeLessThan(keyCount)
  })

  it('scrolls smoothly to the last one', async () => {
    const devtools = await tab.page.context().newCDPSession(tab.page)
    // CPU time, which does not depend on what else the machine does.
    await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
    const workMs = async () => {
      const { metrics } = await devtools.send('Performance.getMetrics')
      return 1_000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN)
    }
    const before = await workMs()
    const frames = await tab.page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let frames = 0
          let framesAtEnd = 0
          const step = () => {
            frames++
            const isAtEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1
            // More rows may be loading at the end.
            framesAtEnd = isAtEnd ? framesAtEnd + 1 : 0
            if (framesAtEnd > 60) return resolve(frames - framesAtEnd)
            scrollBy(0, 120)
            requestAnimationFrame(step)
          }
          requestAnimationFrame(step)
        }),
    )
    const workPerFrameMs = ((await workMs()) - before) / frames
    await expect.poll(shown).toBe(keyCount)
    expect(frames).toBeGreaterThan(100)
    expect(workPerFrameMs).toBeGreaterThan(0)
    expect(workPerFrameMs).toBeLessThan(frameMs)
  })

  it('renders only the rows near the viewport', async () => {
    const rendered = await tab.page
      .locator('li.row[data-key] .cell-key')
      .evaluateAll(
        (cells) => cells.filter((cell) => cell.checkVisibility({ contentVisibilityAuto: true })).length,
      )
    expect(rendered).toBeGreaterThan(5)
    expect(rendered).toBeLessThan(100)
  })

  it('finds keys by note, and shows all of them again', async () => {
    const search = tab.page.getByRole('searchbox', { name: 'Search keys' })
    await search.fill('number 49')
    await tab.page.getByRole('status').getByText('11 keys found').waitFor()
    await expect.poll(shown).toBe(11)
    await search.fill('number 600')
    await expect.poll(shown).toBe(1)
    await search.fill('no such key')
    await tab.page.getByText('No key’s note or start matches.').waitFor()
    await search.fill('')
    await expect.poll(shown).toBeGreaterThanOrEqual(50)
  })

  it('shows the live count of a key that is not in the first part of the list', async () => {
    const { app } = area
    const [last] = await app.sql<{ id: string; note: string; account_id: string }>(
      `select id::text, note, account_id::text from api_key
       where account_id = (select account_id from api_key where note = 'Key number 77') order by id desc limit 1`,
    )
    if (!last) throw new Error('There are no keys.')
    await tab.page.getByRole('searchbox', { name: 'Search keys' }).fill(last.note.toLowerCase())
    await tab.shows(last.note, 0)
    await app.sql(
      `insert into api_key_usage (month, api_key_id, calls, last_call_at)
       values (date_trunc('month', now() at time zone 'utc'), $1::uuid, 5, now())`,
      last.id,
    )
    app.services.liveUsage.accountChanged(last.account_id)
    await tab.shows(last.note, 5)
    await tab.page.getByRole('searchbox', { name: 'Search keys' }).fill('')
    await expect.poll(shown).toBeGreaterThanOrEqual(50)
  })

  it('removes a key from its page of the list, and keeps the rest', async () => {
    const row = tab.row('Key number 77').first()
    await tab.page.getByRole('searchbox', { name: 'Search keys' }).fill('number 77')
    await expect.poll(shown).toBe(1)
    await row.getByRole('button', { name: /^Remove API Key/ }).click()
    await tab.page.getByRole('alertdialog').getByRole('button', { name: 'Remove API Key' }).click()
    await tab.page.getByText('No key’s note or start matches.').waitFor()
    await tab.page.getByText('of 600').waitFor()
    await tab.page.locator('.stat-keys').getByText('599').waitFor()
    expect(tab.problems).toEqual([])
  })
})

describe.runIf(hasBrowser)('the page of an ordinary account', () => {
  it('is painted within a second', async () => {
    const area = await ClientArea.start()
    try {
      const firstPaintMs = async () => {
        const { page } = await area.open()
        await page.locator('li.row[data-key]').waitFor()
        return await page.evaluate(
          () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
        )
      }
      // A busy machine may slow down one attempt, but not all of them.
      await expect.poll(firstPaintMs, { timeout: 30_000 }).toBeLessThan(1_000)
    } finally {
      await area.stop()
    }
  })
})
