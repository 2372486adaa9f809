import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { buildSchema, parse, validate } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerScopes, demoAccount, seedDemoAccount } from '../src/development.ts'
import { limitSettings } from '../src/limits.ts'
import { noteSecrets, startApp, type TestApp } from './support/app.ts'
import { blocks, blocksOf, ExampleProject, readme } from './support/readme.ts'

const config = readFileSync('src/config.ts', 'utf8')
const scripts = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).scripts)

const marker = '=== the next block'
const isRunnable = (language: string) => language === 'bash' || language === 'ts'
const nameOf = (index: number) => `block-${index}`

/** Everything a reader would run in one terminal, in order, as one script that prints a marker before each block. */
function terminalSession(project: ExampleProject): string {
  const commands = blocks.flatMap(({ language, text }, index) =>
    isRunnable(language)
      ? [
          `echo; echo '${marker} ${index}'`,
          language === 'ts' ? `node ${project.fileOf(nameOf(index))}` : text,
        ]
      : [],
  )
  return ['set -eu', ...commands].join('\n')
}

/** The settings in src/config.ts and src/limits.ts with their defaults; null for none. */
function settings(): Map<string, string | null> {
  const [, object = ''] = /const settings = z\.object\(\{\n(.*?)^\}\)/ms.exec(config) ?? []
  const entries = object.split(/^ {2}(?=[A-Z_]+:)/m).slice(1)
  const defaults = entries.map((entry) => {
    const name = entry.slice(0, entry.indexOf(':'))
    const value = /\.default\('?([^')]*)'?\)/.exec(entry)?.[1]
    return [name, value === undefined ? null : value.replace(/(?<=\d)_(?=\d)/g, '')] as const
  })
  const limits = Object.values(limitSettings).map(
    ({ setting, byDefault }) => [setting, String(byDefault)] as const,
  )
  return new Map([...defaults, ...limits])
}

describe('README.md', () => {
  it('contains only blocks in languages that these tests check', () => {
    const languages = [...new Set(blocks.map(({ language }) => language))]
    expect(languages.toSorted()).toEqual(['bash', 'graphql', 'json', 'sh', 'ts'])
    expect(readme.match(/^```/gm)).toHaveLength(blocks.length * 2)
  })

  it('shows operations that are valid against the schema', () => {
    const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))
    const operations = blocksOf('graphql')
    expect(operations.length).toBeGreaterThan(1)
    for (const { text } of operations)
      expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([])
  })

  it('names only files, commands and settings that exist', () => {
    const files = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, file = '']) => file)
    expect(files.filter((file) => !existsSync(file))).toEqual([])
    const commands = [...readme.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)].map(([, script = '']) => script)
    expect(commands.filter((script) => !scripts.includes(script))).toEqual([])
    const exported = blocksOf('sh').flatMap(({ text }) => [...text.matchAll(/^export (\w+)=/gm)])
    const known = [...settings().keys(), 'LATCHKEY_URL', 'CUSTOMER_TOKEN', 'GATEWAY_TOKEN', 'OPERATOR_TOKEN']
    expect(exported.map(([, name = '']) => name).filter((name) => !known.includes(name))).toEqual([])
  })

  it('lists every setting with its default, and no other', () => {
    const section = readme.slice(readme.indexOf('### Settings'), readme.indexOf('## What it guarantees'))
    const rows = [...section.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)]
    const documented = rows.map(([, name = '', cell = '']) => [name, /^`([^`]+)`/.exec(cell)?.[1] ?? null])
    // The defaults of these depend on NODE_ENV.
    const byEnvironment = ['GRAPHIQL', 'CLIENT_AREA']
    const expected = [...settings()].map(([name, value]) => [
      name,
      byEnvironment.includes(name) ? 'on' : value,
    ])
    expect(documented.toSorted()).toEqual(expected.toSorted())
  })
})

describe('the examples of README.md', () => {
  let app: TestApp
  let project: ExampleProject
  const outputs = new Map<number, string>()

  beforeAll(async () => {
    const examples = blocks.flatMap(({ language, text }, index) =>
      language === 'ts' ? [[nameOf(index), text]] : [],
    )
    expect(examples.length).toBeGreaterThan(1)
    project = await ExampleProject.compile(Object.fromEntries(examples))
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
    const { stdout } = await promisify(execFile)('bash', ['-c', terminalSession(project)], {
      env: { ...process.env, ...environment },
      timeout: 25_000,
    })
    for (const [secret] of stdout.matchAll(/lk_[0-9A-Za-z]{38}/g)) noteSecrets(secret)
    for (const part of stdout.split(`${marker} `).slice(1))
      outputs.set(Number.parseInt(part, 10), part.slice(part.indexOf('\n') + 1).trim())
  })
  afterAll(async () => {
    await app?.stop()
    await project?.remove()
  })

  it('run to completion, the TypeScript ones after a strict type check', () => {
    const runnable = blocks.flatMap(({ language }, index) => (isRunnable(language) ? [index] : []))
    expect([...outputs.keys()]).toEqual(runnable)
    expect(runnable.length).toBeGreaterThan(6)
  })

  it('print the output that the document shows', () => {
    const answers = blocks.flatMap(({ language, text }, index) =>
      language === 'json' ? [{ shown: JSON.parse(text), actual: outputs.get(index - 1) ?? '' }] : [],
    )
    expect(answers.length).toBeGreaterThan(4)
    for (const { shown, actual } of answers) expect(JSON.parse(actual)).toEqual(shown)
  })

  it('show live counts over server-sent events', () => {
    const [, output] = [...outputs].find(([, text]) => text.includes('event: next')) ?? []
    expect(output).toContain('{"data":{"liveUsage":{"account":{"calls":0,"quota":10000}}}}')
  })
})
