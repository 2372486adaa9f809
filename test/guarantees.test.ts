import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const documents = [
  'docs/guarantees.md',
  'docs/client-area.md',
  'docs/operating.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
]

describe('docs/guarantees.md', () => {
  const document = readFileSync('docs/guarantees.md', 'utf8')
  const sections = document.split(/^## /m)

  it('has ten guarantees, each with how it is kept and what shows it', () => {
    const guarantees = sections.filter((section) => /^G\d+\. /.test(section))
    expect(guarantees.map((section) => section.slice(0, section.indexOf('.')))).toEqual(
      Array.from({ length: 10 }, (_, index) => `G${index + 1}`),
    )
    for (const guarantee of guarantees) {
      expect(guarantee).toContain('*Kept by*')
      expect(guarantee.slice(guarantee.indexOf('*Shown by*'))).toMatch(/`test\/[\w/.-]+\.test\.ts`/)
    }
  })

  it('names a test for whatever goes in production', () => {
    const [, breaks = ''] = document.split('## When something breaks')
    for (const part of ['PostgreSQL', 'Redis']) {
      const [section = ''] = breaks.split(`### ${part}\n`)[1]?.split('\n### ') ?? []
      const rows = [...section.matchAll(/^\| (?!what happens|---)(.*) \|$/gm)].map(([, row = '']) => row)
      expect(rows.length).toBeGreaterThan(3)
      expect(rows.filter((row) => !/`test\/[\w/.-]+\.test\.ts`$/.test(row))).toEqual([])
    }
  })
})

describe.each(documents)('%s', (path) => {
  it('names files that there are', () => {
    const text = readFileSync(path, 'utf8')
    const named = [...text.matchAll(/`((?:src|test|prisma|docs|\.ci)\/[\w./-]*)`/g)].map(
      ([, name = '']) => name,
    )
    expect(named.filter((name) => !existsSync(name))).toEqual([])
  })
})

describe('ARCHITECTURE.md', () => {
  it('says why there is each dependency', () => {
    const text = readFileSync('ARCHITECTURE.md', 'utf8')
    const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
    const names = Object.keys({ ...dependencies, ...devDependencies })
    const plain = /^(@types\/.+|typescript|vitest)$/
    const unexplained = names
      .filter((name) => !plain.test(name))
      .filter((name) => !text.includes(`\`${name.replace('@pothos/plugin-', '')}\``))
    expect(unexplained).toEqual([])
  })

  it('is short', () => {
    expect(readFileSync('ARCHITECTURE.md', 'utf8').split('\n').length).toBeLessThanOrEqual(150)
  })
})
