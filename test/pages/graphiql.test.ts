import { mkdir } from 'node:fs/promises'
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes, demoExplorer, demoTokens, seedDemoAccount } from '../../src/development.ts'
import type { Explorer } from '../../src/pages/graphiql.ts'
import { type Tab, tutorialTabs } from '../../src/pages/graphiql-tabs.ts'
import { noteSecrets, startApp, type TestApp } from '../support/app.ts'
import { GraphiqlWindow, hasBrowser, launchBrowser } from '../support/browser.ts'
import { createGateway } from '../support/customer.ts'
import { AccountOverview, RegenerateApiKey } from '../support/operations.ts'

let app: TestApp
let tokens: Explorer['tokens']
let browser: Browser | undefined

/** Started as in development. */
beforeAll(async () => {
  app = await startApp({ explorer: (services) => demoExplorer(services, tokens) })
  tokens = await demoTokens(app.config.auth)
  Object.values(tokens).forEach(noteSecrets)
  await seedDemoAccount(app.services)
  if (hasBrowser) browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  await app.stop()
})

const demoKeys = async () =>
  (await app.query(AccountOverview, { as: tokens.customer })).data.account?.apiKeys.nodes ?? []

describe('the GraphiQL page', () => {
  const page = (url: string, headers: Record<string, string>) =>
    new Promise<string>((resolve, reject) => {
      get(`${url}/graphql`, { headers: { accept: 'text/html', ...headers } }, (response) =>
        resolve(text(response)),
      ).on('error', reject)
    })

  it('contains tokens if it is opened at localhost or an IP address', async () => {
    const html = await page(app.url, {})
    for (const token of Object.values(tokens)) expect(html).toContain(token)
    for (const host of ['localhost:4000', '[::1]:4000', '192.168.0.7'])
      expect(await page(app.url, { host })).toContain(tokens.operator)
  })

  it('contains no tokens or secrets for scripts of other sites', async () => {
    for (const headers of [{ origin: 'https://example.org' }, { host: 'example.org:4000' }]) {
      const html = await page(app.url, headers)
      expect(html).toContain('renderYogaGraphiQL')
      for (const secret of [...Object.values(tokens), ...(await demoKeys()).map((key) => String(key.secret))])
        expect(html).not.toContain(secret)
    }
  })
})

describe('the tutorial', () => {
  const customer = 'Keys AddKey Note Access Limits Regenerate'

  it('sets, reaches and lifts a limit, with a secret that outlives its re-generation', async () => {
    const { tokens: demo, ...keys } = await demoExplorer(app.services, tokens)
    const tabs = new Map(
      tutorialTabs(keys).map((tab) => [/(?:query|mutation) (\w+)/.exec(tab.query)?.[1], tab]),
    )
    const run = async (name: string, edited: object = {}) => {
      const { as, query, variables } = tabs.get(name) as Tab
      const sent = { as: demo[as], variables: { ...variables, ...edited } }
      const { data, errors } = await app.query<Record<string, Answer>, object>(query, sent)
      expect([name, errors]).toEqual([name, undefined])
      return Object.values(data)[0] as Answer
    }
    for (const name of customer.split(' ')) expect((await run(name)).__typename).not.toBe('InvalidInput')
    for (let call = 1; call <= 3; call++)
      expect(await run('ReachLimit')).toMatchObject({
        code: 'ADMITTED',
        previousSecret: true,
        apiKeyCalls: call,
      })
    expect(await run('ReachLimit')).toMatchObject({ code: 'RATE_LIMITED', apiKeyCalls: 3 })
    await run('Limits', { input: { id: keys.changedId, rateLimit: null } })
    expect(await run('ReachLimit')).toMatchObject({ code: 'ADMITTED', apiKeyCalls: 4 })
    expect(await run('Describe')).toMatchObject({ code: 'ADMITTED', previousSecret: true })
    // Refilled for the tests below.
    app.clock.set(new Date(app.clock.now().getTime() + 60_000))
  })
})

interface Answer {
  __typename?: string
}

describe('the Content-Security-Policy of the GraphiQL page', () => {
  it('allows exactly the scripts in the page, by hash', async () => {
    const response = await fetch(`${app.url}/graphql`, { headers: { accept: 'text/html' } })
    const policy = response.headers.get('content-security-policy') ?? ''
    const scripts = [...(await response.text()).matchAll(/<\/script>/g)]
    expect(/script-src ([^;]*)/.exec(policy)?.[1]?.match(/'sha256-[^']+'/g)).toHaveLength(scripts.length)
    expect(policy).toMatch(/^default-src 'none'; script-src ('sha256-[^']+' ?)+;/)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(response.headers.get('cache-control')).toBe('no-store')
  })
})

describe.runIf(hasBrowser)('GraphiQL in a browser', { timeout: 90_000 }, () => {
  /** Shared by the tests, because opening a window takes longer than most of them. */
  let window: GraphiqlWindow

  beforeAll(async () => {
    window = await GraphiqlWindow.open(browser as Browser, app.url)
  })

  it('loads nothing from other sites, reports no errors, and leaves its URL unchanged', async () => {
    await window.run('Keys')
    await window.turnTo('AddKey')
    const elsewhere = window.loadedFrom.filter(
      (url) => !/^(blob|data):/.test(url) && !url.startsWith(app.url),
    )
    expect(elsewhere).toEqual([])
    expect(window.errors).toEqual([])
    expect(window.page.url()).toBe(`${app.url}/graphql`)
  })

  it('shows live counts while calls are metered', async () => {
    const gateway = await createGateway(app)
    const [first, second] = await demoKeys()
    await window.turnTo('LiveCounts')
    await window.play()
    await window.result(/"snapshot": true/)
    for (let i = 0; i < 5; i++) {
      const secrets = [first?.secret, first?.secret, second?.secret].map(String)
      const decisions = await Promise.all(secrets.map((secret) => gateway.meter(secret)))
      const calls = Math.max(...decisions.map(({ accountUsage }) => accountUsage?.calls ?? 0))
      await window.result(new RegExp(`"snapshot": false[^]*"account": {\\s*"calls": ${calls},`))
    }
    await mkdir('test-results', { recursive: true })
    await window.page.screenshot({ path: 'test-results/graphiql-live.png' })
    expect(window.errors).toEqual([])
  })

  it('runs every tab unedited', async () => {
    const answers: Record<string, string> = {}
    for (const tab of (await window.tabs()).filter((title) => title !== 'LiveCounts')) {
      const response = await window.run(tab)
      expect([tab, response.errors]).toEqual([tab, undefined])
      answers[tab] = /"(?:__typename|code)":"(\w+)"/.exec(JSON.stringify(response))?.[1] ?? 'data'
      await window.result(/"data"/)
    }
    expect(answers).toEqual({
      Keys: 'data',
      AddKey: 'AddApiKeyPayload',
      Note: 'SetApiKeyNotePayload',
      Access: 'ConfigureApiKeyAccessPayload',
      Limits: 'SetApiKeyLimitsPayload',
      Regenerate: 'RegenerateApiKeyPayload',
      MeterCall: 'ADMITTED',
      ReachLimit: 'ADMITTED',
      Describe: 'ADMITTED',
      Accounts: 'data',
      ChangePlan: 'SaveAccountPayload',
      RemoveKey: 'RemoveApiKeyPayload',
    })
    expect(window.errors).toEqual([])
  })

  it('has the current keys and tokens after a reload, and keeps its tabs', async () => {
    const tabs = await window.tabs()
    await window.run('RemoveKey')
    const [metered] = await demoKeys()
    const regenerated = { as: tokens.customer, variables: { id: metered?.id ?? '' } }
    await app.query(RegenerateApiKey, regenerated)
    // Tokens that the server refuses, as if from a deleted data directory; then valid ones again.
    const good = tokens
    const dead = await demoTokens({ ...app.config.auth, secret: new Uint8Array(32) })
    tokens = dead
    await window.reload()
    tokens = good
    await window.reload()
    expect(await window.tabs()).toEqual(tabs)
    expect(await window.run('MeterCall')).toMatchObject({ data: { meterApiCall: { code: 'ADMITTED' } } })
    expect(await window.run('RemoveKey')).toMatchObject({
      data: { removeApiKey: { __typename: 'RemoveApiKeyPayload' } },
    })
    const stored = await window.page.evaluate(() => JSON.stringify({ ...localStorage }))
    for (const token of Object.values(dead)) expect(stored).not.toContain(token)
  })
})

describe.runIf(hasBrowser)('GraphiQL in production', { timeout: 90_000 }, () => {
  it('opens without tokens, accepts one, and does not store it', async () => {
    const environment = { NODE_ENV: 'production', GRAPHIQL: 'on' }
    const production = await startApp({ environment })
    try {
      const window = await GraphiqlWindow.open(browser as Browser, production.url)
      expect(window.errors).toEqual([])
      expect(await window.run('Keys')).toMatchObject({
        errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
      })
      const token = await production.token({ account: 'customer', scopes: customerScopes })
      await window.setHeaders({ Authorization: `Bearer ${token}` })
      expect(await window.answer()).toMatchObject({ data: { account: { name: 'customer' } } })
      await window.reload()
      const stored = await window.page.evaluate(() => JSON.stringify({ ...localStorage }))
      expect(stored).not.toContain(token)
    } finally {
      await production.stop()
    }
  })
})
