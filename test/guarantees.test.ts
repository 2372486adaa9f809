import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

const documents = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'docs/client-area.md',
  'docs/errors.md',
  'docs/guarantees.md',
  'docs/operating.md',
  'docs/performance.md',
  'examples/client-area/README.md',
]
const testFile = /`test\/[\w/.-]+\.test\.ts`/

describe('docs/guarantees.md', () => {
  const document = readFileSync('docs/guarantees.md', 'utf8')

  it('says for each guarantee how it is kept and which test shows it', () => {
    const guarantees = document.split(/^## /m).filter((section) => /^G\d+\. /.test(section))
    expect(guarantees.length).toBeGreaterThan(0)
    for (const guarantee of guarantees) {
      expect(guarantee).toContain('*Kept by*')
      expect(guarantee.slice(guarantee.indexOf('*Shown by*'))).toMatch(testFile)
    }
  })

  it('names a test for each failure of PostgreSQL and Redis', () => {
    const [, breaks = ''] = document.split('## When something breaks')
    for (const part of ['PostgreSQL', 'Redis']) {
      const [section = ''] = breaks.split(`### ${part}\n`)[1]?.split('\n### ') ?? []
      const rows = [...section.matchAll(/^\| (?!what happens|---)(.*) \|$/gm)].map(([, row = '']) => row)
      expect(rows.length).toBeGreaterThan(3)
      expect(rows.filter((row) => !new RegExp(`${testFile.source}$`).test(row))).toEqual([])
    }
  })
})

/** The anchors that GitHub gives a document's headings. */
function anchorsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8').replace(/^```.*?^```$/gms, '')
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(documents)('%s', (path) => {
  const text = readFileSync(path, 'utf8')

  it('names only files that exist', () => {
    const named = [...text.matchAll(/`((?:src|test|prisma|docs|examples|\.ci)\/[\w./-]*)`/g)].map(
      ([, name = '']) => name,
    )
    expect(named.filter((name) => !existsSync(name))).toEqual([])
  })

  it('links only to files and headings that exist', () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
    const broken = links.filter(([, file = '', anchor]) => {
      const target = file ? normalize(join(dirname(path), file)) : path
      return !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })
})

describe('ARCHITECTURE.md', () => {
  it('explains each dependency', () => {
    const text = readFileSync('ARCHITECTURE.md', 'utf8')
    const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
    const names = Object.keys({ ...dependencies, ...devDependencies })
    const selfExplanatory = /^(@types\/.+|typescript|vitest)$/
    const unexplained = names
      .filter((name) => !selfExplanatory.test(name))
      .filter((name) => !text.includes(`\`${name.replace('@pothos/plugin-', '')}\``))
    expect(unexplained).toEqual([])
  })
})
