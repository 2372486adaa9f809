import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAst } from 'rolldown/parseAst'
import { describe, expect, it } from 'vitest'
import { bounded, redact } from '../../src/log.ts'

/** The regular expression literals of a module, and how often it makes one of text. */
function expressionsOf(path: string): { literals: RegExp[]; made: number } {
  const literals: RegExp[] = []
  let made = 0
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, callee, regex } = node as {
      type?: string
      callee?: { name?: string }
      regex?: { pattern: string; flags: string }
    }
    if (type === 'Literal' && regex) literals.push(new RegExp(regex.pattern, regex.flags))
    if (type === 'NewExpression' && callee?.name === 'RegExp') made++
    for (const child of Object.values(node)) visit(child)
  }
  visit(parseAst(readFileSync(path, 'utf8'), { lang: 'ts' }).body)
  return { literals, made }
}

const modules = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('generated'))
  .map((path) => ({ path, ...expressionsOf(join('src', path)) }))
const literals = [
  ...new Map(modules.flatMap(({ literals }) => literals).map((each) => [String(each), each])).values(),
]

/**
 * What makes an expression that is not linear start again at every character. Each is repeated, after each prefix, so
 * that the expression begins to match; the suffix keeps it from matching at the end.
 */
const repeated = [
  ...['a', 'A', '0', '_', '-', '.', ':', '/', ',', ' ', '\t', '\n', '\r', '[', '%', '\\', '"', '=', '&', '?'],
  ...[
    'a_',
    'a-',
    'a-a',
    'a.',
    'eyJ',
    'eyJ.',
    'a_a',
    '\\u0000',
    '\\n',
    'lk_',
    'close',
    ' close',
    '?query=',
    '\r\n',
  ],
  ...[' Did you mean ', 'Connection terminated', '<script>', 'http://', '] ', '; charset="utf-8"', 'v3.'],
  `${'a'.repeat(15)}_${'A'.repeat(37)}.`,
]
const prefixes = [
  ...[
    '',
    'a',
    '/',
    'Bearer ',
    'Bearer x',
    'GPC:S:',
    'application/json ',
    'application/',
    'http://',
    'https://a',
  ],
  ...['[', 'eyJa', 'a_', 'kid:', '_', '"', '?query'],
]
const suffixes = ['', '\u0000', '\n!']

/** CPU time in milliseconds. Other processes on the machine do not count. */
function cpuMsOf(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** A linear expression takes 10 to 100 ns a character. A quadratic one takes longer than this from 10,000 on. */
const mostMsPerCharacter = 0.001
const clockMs = 10

/** Expects linear time, and notices quickly where it is not: a quadratic expression is not given the longest text. */
function expectLinear(run: (text: string) => void, part: string, prefix: string, suffix: string): void {
  for (const length of [10_000, 100_000, 1_000_000]) {
    const text = prefix + part.repeat(Math.ceil(length / part.length)) + suffix
    const attempt = () => cpuMsOf(() => run(text))
    const most = length * mostMsPerCharacter + clockMs
    const tookMs = attempt()
    // Garbage collection may fall into one measurement, but not into three.
    const least = tookMs <= most ? tookMs : Math.min(tookMs, attempt(), attempt())
    expect(least, `${length} characters of ${JSON.stringify(prefix + part)}`).toBeLessThan(most)
  }
}

describe('every regular expression in the source', () => {
  it('is found', () => {
    expect(literals.length).toBeGreaterThan(20)
    const makers = modules.filter(({ made }) => made > 0).map(({ path, made }) => [path, made])
    // The test below measures it through the function that uses it.
    expect(makers).toEqual([['log.ts', 1]])
  })

  it.each(literals.map((each) => [String(each), each] as const))('takes linear time: %s', (_, expression) => {
    const run = (text: string) => void text.replace(expression, '')
    for (const part of repeated)
      for (const prefix of prefixes)
        for (const suffix of suffixes) {
          const text = prefix + part.repeat(Math.ceil(10_000 / part.length)) + suffix
          const slow = cpuMsOf(() => run(text)) > 1
          // Only what is not done at once deserves the longer texts.
          if (slow || (prefix === '' && suffix === '')) expectLinear(run, part, prefix, suffix)
        }
  })

  it.each(repeated.map((part) => [JSON.stringify(part), part] as const))(
    'takes linear time together with the others in the redactor: %s',
    (_, part) => {
      for (const prefix of ['', '_eyJ', '{"msg":"_']) expectLinear(redact, part, prefix, '"}')
      expectLinear((text) => void bounded(JSON.stringify({ msg: text })), part, '', '')
    },
  )

  it.each([
    [/eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){2,4}/g, 'eyJ'],
    [/ Did you mean .+\?$/s, ' Did you mean '],
  ])('would be noticed if it took quadratic time: %s', (expression, part) => {
    const run = (text: string) => void text.replace(expression, '')
    expect(() => expectLinear(run, part, '', '\n!')).toThrow('to be less than')
  })
})
