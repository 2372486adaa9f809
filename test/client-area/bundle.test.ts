import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

const folder = 'dist/client-area'
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
const read = (path: string) => readFileSync(join(folder, path), 'utf8')

/** The limit on gzipped JavaScript. */
const mostGzippedBytes = 150_000

describe('the built page', () => {
  it('is small', () => {
    const scripts = files.filter((path) => path.endsWith('.js'))
    expect(scripts.length).toBeGreaterThan(1)
    const bytes = scripts.reduce((sum, path) => sum + gzipSync(read(path)).length, 0)
    expect(bytes).toBeGreaterThan(10_000)
    expect(bytes).toBeLessThanOrEqual(mostGzippedBytes)
  })

  it('has the element in a single file that loads no others', () => {
    const element = read('latchkey-keys.js')
    expect(element).toContain('latchkey-keys')
    expect(element.match(/\b(?:from|import)\s*\(?\s*["'`](?:[./]|https?:)|@import|url\(/g) ?? []).toEqual([])
  })

  it('works under a strict Content-Security-Policy', () => {
    const html = read('index.html')
    expect(html.match(/<script(?![^>]*\ssrc=)[^>]*>|<style|\sstyle=|\son\w+=/g) ?? []).toEqual([])
    for (const path of files.filter((path) => path.endsWith('.js')))
      expect(read(path).match(/\beval\(|\bnew Function\(/g) ?? []).toEqual([])
  })

  it('uses neither browser storage nor cookies, so it stores no tokens', () => {
    for (const path of files.filter((path) => path.endsWith('.js')))
      expect(read(path).match(/\b(localStorage|sessionStorage|indexedDB|document\.cookie)\b/g) ?? []).toEqual(
        [],
      )
  })
})

describe('docs/client-area.md', () => {
  it('lists every property that a host page may set, and no other', () => {
    const names = (text: string) => [...new Set(text.match(/--latchkey-[\w-]+/g))].toSorted()
    const documented = names(readFileSync('docs/client-area.md', 'utf8'))
    expect(documented).toEqual(names(readFileSync('web/src/styles/theme.css', 'utf8')))
    expect(documented.length).toBeGreaterThan(10)
  })
})
