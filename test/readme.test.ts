import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { buildSchema, parse, validate } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes, demoAccount, seedDemoAccount } from '../src/development.ts'
import { noteSecrets, startApp, type TestApp } from './support/app.ts'

const readme = readFileSync('README.md', 'utf8')
const config = readFileSync('src/config.ts', 'utf8')
const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts)

interface Block {
  language: string
  text: string
}

const blocks: Block[] = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
  ([, language = '', text = '']) => ({
    language,
    text,
  }),
)
const blocksOf = (language: string) => blocks.filter((block) => block.language === language)

const marker = '=== the next block'

/** All that a reader would run in one terminal, in order, as one script that says where each block begins. */
function session(): string {
  const lines = blocks.map(({ language, text }, index) => {
    if (language === 'bash') return `echo; echo '${marker} ${index}'\n${text}`
    if (language === 'js')
      return `echo; echo '${marker} ${index}'\nnode --input-type=module <<'END_OF_BLOCK'\n${text}END_OF_BLOCK`
    return ''
  })
  return `set -eu\n${lines.join('\n')}`
}

describe('README.md', () => {
  it('has blocks of the kinds that are held to something', () => {
    expect([...new Set(blocks.map(({ language }) => language))].toSorted()).toEqual([
      'bash',
      'graphql',
      'js',
      'json',
      'sh',
    ])
    expect(readme.match(/^```/gm)).toHaveLength(blocks.length * 2)
  })

  it('shows operations that the schema takes', () => {
    const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))
    const operations = blocksOf('graphql')
    expect(operations.length).toBeGreaterThan(1)
    for (const { text } of operations)
      expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([])
  })

  it('names files, commands and settings that there are', () => {
    const files = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, file = '']) => file)
    expect(files.filter((file) => !existsSync(file))).toEqual([])
    const commands = [...readme.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)].map(([, script = '']) => script)
    expect(commands.filter((script) => !scripts.includes(script))).toEqual([])
    const exported = blocksOf('sh').flatMap(({ text }) => [...text.matchAll(/^export (\w+)=/gm)])
    const known = [...settings().keys(), 'LATCHKEY_URL', 'CUSTOMER_TOKEN', 'GATEWAY_TOKEN', 'OPERATOR_TOKEN']
    expect(exported.map(([, name = '']) => name).filter((name) => !known.includes(name))).toEqual([])
  })

  it('has every setting with its default, and no other', () => {
    const section = readme.slice(readme.indexOf('### Settings'), readme.indexOf('## What it guarantees'))
    const rows = [...section.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)]
    const documented = rows.map(([, name = '', cell = '']) => [name, /^`([^`]+)`/.exec(cell)?.[1] ?? null])
    // These have no default of their own: they go by NODE_ENV.
    const byEnvironment = ['GRAPHIQL', 'CLIENT_AREA']
    const expected = [...settings()].map(([name, value]) => [
      name,
      byEnvironment.includes(name) ? 'on' : value,
    ])
    expect(documented.toSorted()).toEqual(expected.toSorted())
  })
})

/** The settings in src/config.ts, with their defaults; null for none. */
function settings(): Map<string, string | null> {
  const [, object = ''] = /const settings = z\.object\(\{\n(.*?)^\}\)/ms.exec(config) ?? []
  const entries = object.split(/^ {2}(?=[A-Z_]+:)/m).slice(1)
  return new Map(
    entries.map((entry) => {
      const name = entry.slice(0, entry.indexOf(':'))
      const value = /\.default\('?([^')]*)'?\)/.exec(entry)?.[1]
      return [name, value === undefined ? null : value.replace(/(?<=\d)_(?=\d)/g, '')]
    }),
  )
}

describe('the examples of README.md', () => {
  let app: TestApp
  const outputs = new Map<number, string>()

  beforeAll(async () => {
    app = await startApp()
    await seedDemoAccount(app.services)
    const environment = {
      LATCHKEY_URL: app.url,
      CUSTOMER_TOKEN: await app.token({ account: demoAccount, scopes: customerScopes }),
      GATEWAY_TOKEN: await app.token({ scopes: ['calls:meter'] }),
      OPERATOR_TOKEN: await app.token({ scopes: ['admin'] }),
      AUTH_SECRET: new TextDecoder().decode(app.config.auth.secret),
      NODE_ENV: '',
    }
    const { stdout } = await promisify(execFile)('bash', ['-c', session()], {
      env: { ...process.env, ...environment },
      timeout: 25_000,
    })
    for (const [secret] of stdout.matchAll(/lk_[0-9A-Za-z]{38}/g)) noteSecrets(secret)
    for (const part of stdout.split(`${marker} `).slice(1))
      outputs.set(Number.parseInt(part, 10), part.slice(part.indexOf('\n') + 1).trim())
  })
  afterAll(() => app.stop())

  it('run to their end', () => {
    const runnable = blocks.flatMap(({ language }, index) => (/^(bash|js)$/.test(language) ? [index] : []))
    expect([...outputs.keys()]).toEqual(runnable)
    expect(runnable.length).toBeGreaterThan(6)
  })

  it('answer what the document says', () => {
    const answers = blocks.flatMap(({ language, text }, index) =>
      language === 'json' ? [{ shown: JSON.parse(text), came: outputs.get(index - 1) ?? '' }] : [],
    )
    expect(answers.length).toBeGreaterThan(4)
    for (const { shown, came } of answers) expect(JSON.parse(came)).toEqual(shown)
  })

  it('show live counts over server-sent events', () => {
    const [, output] = [...outputs].find(([, text]) => text.includes('event: next')) ?? []
    expect(output).toContain('{"data":{"liveUsage":{"account":{"calls":0,"quota":10000}}}}')
  })
})
