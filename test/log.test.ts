import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { generateSecret } from '../src/domain/secret.ts'
import { SecretVault } from '../src/domain/secret-vault.ts'
import { createLogger, type Logger, redacting } from '../src/log.ts'
import { startApp, type TestApp } from './support/app.ts'
import { type Customer, createCustomer } from './support/customer.ts'
import { post } from './support/http.ts'
import { findLeaks } from './support/leaks.ts'
import { openRawConnection } from './support/websocket.ts'

describe('the redactor', () => {
  const secret = generateSecret('lk')
  let token: string
  let jwe: string
  beforeAll(async () => {
    const key = new Uint8Array(32)
    token = await new SignJWT({ sub: 'tester' }).setProtectedHeader({ alg: 'HS256' }).sign(key)
    jwe = (await new SecretVault([{ kid: 'one', key }]).seal(secret, 'id')) ?? ''
  })

  /** The redacted log line. */
  function lineOf(write: (log: Logger) => void): string {
    const lines: string[] = []
    write(createLogger('trace', redacting({ write: (line) => void lines.push(line) })))
    expect(lines).toHaveLength(1)
    expect(() => JSON.parse(lines[0] ?? '')).not.toThrow()
    return lines[0] ?? ''
  }

  function thrown(text: string): Error {
    return new Error(`outer ${text}`, { cause: new Error(`inner\n${text}\tafter`) })
  }

  const places: [string, (text: string, log: Logger) => void][] = [
    ['the message', (text, log) => log.info(`before ${text} after`)],
    ['a message without other text', (text, log) => log.info(text)],
    ['a message after a newline', (text, log) => log.info(`before:\n${text}\nafter`)],
    [
      'a message after a tab, a quote, a backslash and a bell',
      (text, log) => log.info(`\t${text} "${text} \\${text} \u0007${text}`),
    ],
    ['a property’s value', (text, log) => log.info({ secret: text }, 'message')],
    ['a property’s name', (text, log) => log.info({ [text]: 1 }, 'message')],
    [
      'a nested object',
      (text, log) => log.info({ request: { headers: [{ authorization: `Bearer ${text}` }] } }),
    ],
    ['a URL', (text, log) => log.info({ url: `http://localhost/?token=${text}&secret=${text}#${text}` })],
    ['a string of JSON', (text, log) => log.info({ body: JSON.stringify({ text: `\n${text}` }) })],
    ['an error, its stack and its cause', (text, log) => log.error({ err: thrown(text) }, 'failed')],
    ['an error without a message', (text, log) => log.error(thrown(text))],
    ['a child logger', (text, log) => log.child({ text }).info('message')],
  ]

  it.each(places)('removes secrets, tokens and sealed secrets from %s', (_, write) => {
    for (const text of [secret, generateSecret('acme_live'), token, jwe]) {
      const line = lineOf((log) => write(text, log))
      expect(line).not.toContain(text)
      expect(line).not.toContain(text.slice(-20))
      expect(line).toMatch(/\[(secret|token)\]/)
    }
  })

  it.each<[string, (log: Logger, long: string) => void]>([
    ['a message', (log, long) => log.info(long)],
    ['a property', (log, long) => log.info({ operation: long }, 'message')],
    ['a name', (log, long) => log.info({ [long]: 1 }, 'message')],
    ['an error', (log, long) => log.error(new Error(long, { cause: new Error(long) }))],
    ['a list', (log, long) => log.info({ list: Array.from({ length: 5_000 }, () => long.slice(0, 100)) })],
    ['many properties', (log, long) => log.info(Object.fromEntries([...long].map((_, i) => [`a${i}`, i])))],
    [
      'many lists',
      (log, long) => log.info({ lists: Array(40).fill(Array(40).fill(long.slice(0, 100))) }, 'message'),
    ],
  ])('bounds a line of the log, which stays valid JSON on a line of its own: %s', (_, write) => {
    const long = `${secret} `.repeat(10_000)
    const line = lineOf((log) => write(log, long))
    expect(line.length).toBeLessThanOrEqual(16_384)
    expect(line.endsWith('}\n')).toBe(true)
    expect(line).not.toContain(secret)
    expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number), time: expect.any(String) })
  })

  it('leaves everything else unchanged', () => {
    const text =
      'ApiKey:018f0000-0000-7000-8000-000000000000 lk_abc123 v3.uptime-monitors.list\n"eyes" \\ \u0007 äöü'
    expect(JSON.parse(lineOf((log) => log.info({ text }, text)))).toMatchObject({ text, msg: text })
  })
})

it('a logger redacts standard output, and loses no line when the process exits', async () => {
  const secret = generateSecret('lk')
  const program = `
    import { createLogger } from ${JSON.stringify(new URL('../dist/log.js', import.meta.url).href)}
    createLogger('info').info({ secret: ${JSON.stringify(secret)} }, 'the last line')
    process.exit(0)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  expect(JSON.parse(stdout)).toMatchObject({ secret: '[secret]', msg: 'the last line' })
})

describe('the leak check of the test run', () => {
  const issued = 'issued-in-a-form-that-the-redactor-does-not-know'
  const clean = '{"level":30,"msg":"ADMITTED lk_abc123"}'

  it('finds issued secrets, anything that looks like a secret, and the marks of redaction', () => {
    const secret = generateSecret('lk')
    const lines = [`{"msg":"${issued}"}`, `{"msg":"${secret}"}`, '{"msg":"[secret]"}', '{"msg":"[token]"}']
    expect(findLeaks([clean, ...lines, clean].join('\n'), [issued])).toEqual([
      '{"msg":"[issued]"}',
      '{"msg":"[secret]"}',
      '{"msg":"[secret]"}',
      '{"msg":"[token]"}',
    ])
  })

  it('fails a run with a leak even if all of its tests pass', { timeout: 60_000 }, async () => {
    const vitest = resolve('node_modules/vitest/vitest.mjs')
    const config = 'test/support/leaking-run/vitest.config.ts'
    const run = promisify(execFile)(process.execPath, [vitest, 'run', '--config', config], {
      env: { PATH: process.env.PATH, NO_COLOR: '1' },
    })
    await expect(run).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/Tests +1 passed/),
      stderr: expect.stringContaining('The log has 1 line(s) with a secret or token:\n{"msg":"[issued]"}'),
    })
  })

  it('passes a clean log', () => {
    expect(findLeaks(`${clean}\n${clean}\n`, [issued])).toEqual([])
  })
})

describe('the log in production', () => {
  let app: TestApp
  let customer: Customer

  beforeAll(async () => {
    app = await startApp({ environment: { NODE_ENV: 'production', LOG_LEVEL: 'info' } })
    customer = await createCustomer(app, {})
  })
  afterAll(() => app.stop())

  /** The lines about an operation, as soon as there are `count` of them. */
  async function linesOf(operation: string, count = 1): Promise<Record<string, unknown>[]> {
    return await vi.waitFor(async () => {
      const log = await readFile(inject('logFile'), 'utf8')
      const lines = log.split('\n').filter((line) => line.includes(`"${operation}"`))
      expect(lines).toHaveLength(count)
      return lines.map((line) => JSON.parse(line))
    })
  }

  const variables = { note: 'a private note' }
  const add = 'mutation AddLogged($note: String) { addApiKey(input: { note: $note }) { __typename } }'

  it('has one line per HTTP request: operation, outcome and duration', async () => {
    await post(app, { query: add, variables }, { authorization: `Bearer ${customer.token}` })
    const [line] = await linesOf('AddLogged')
    expect(Object.keys(line ?? {}).sort()).toEqual(
      ['codes', 'durationMs', 'level', 'method', 'operation', 'status', 'time', 'transport'].sort(),
    )
    expect(line).toMatchObject({
      transport: 'http',
      method: 'POST',
      operation: 'AddLogged',
      status: 200,
      codes: [],
    })
    expect(line?.durationMs).toBeTypeOf('number')
  })

  it('contains the error codes of a refused request', async () => {
    const query = 'query RefusedLogged { accounts { totalCount } }'
    await post(app, { query }, { authorization: `Bearer ${customer.token}` })
    expect(await linesOf('RefusedLogged')).toMatchObject([{ codes: ['FORBIDDEN'] }])
  })

  it('has one line per operation over WebSocket', async () => {
    const connection = await (await openRawConnection(app)).init(customer.token)
    const query = add.replace('AddLogged', 'AddLoggedBySocket')
    connection.send({ type: 'subscribe', id: '1', payload: { query, variables } })
    const [line] = await linesOf('AddLoggedBySocket')
    expect(line).toMatchObject({ transport: 'websocket', operation: 'AddLoggedBySocket', codes: [] })
    expect(line?.durationMs).toBeTypeOf('number')
    connection.socket.close()
  })

  it('has one line per subscription, whether it was completed or disconnected', async () => {
    for (const end of ['complete', 'terminate'] as const) {
      const connection = await (await openRawConnection(app)).init(customer.token)
      const query = `subscription Logged${end} { liveUsage { month } }`
      connection.send({ type: 'subscribe', id: '1', payload: { query } })
      await connection.next()
      if (end === 'complete') connection.send({ type: 'complete', id: '1' })
      else connection.socket.terminate()
      expect(await linesOf(`Logged${end}`)).toMatchObject([{ transport: 'websocket' }])
      connection.socket.close()
    }
  })

  it('never contains arguments or variables', async () => {
    const authorization = `Bearer ${customer.token}`
    const given = 'an argument of an operation that may fail'
    await post(
      app,
      { query: 'query LastLogged($n: Int!) { viewer { subject } }', variables: { n: given } },
      { authorization },
    )
    await post(app, `{"query": "{ broken ${given}`, { authorization })
    await post(app, { query: `{ nonsense(note: "${given}") }` }, { authorization })
    await post(app, { query: 'query AfterLastLogged { __typename }' }, { authorization })
    await linesOf('AfterLastLogged')
    const log = await readFile(inject('logFile'), 'utf8')
    expect(log).not.toContain(given)
    expect(log).not.toContain(variables.note)
  })
})
