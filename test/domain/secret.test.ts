import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  digestOf,
  generateSecret,
  isPrefix,
  isWellFormedSecret,
  mayBeSecret,
  startOf,
} from '../../src/domain/secret.ts'

describe('secrets', () => {
  it('consist of a prefix, 32 random base62 characters and a checksum of 6', () => {
    const secret = generateSecret('lk')
    expect(secret).toMatch(/^lk_[0-9A-Za-z]{38}$/)
    expect(generateSecret('acme_live')).toMatch(/^acme_live_[0-9A-Za-z]{38}$/)
    expect(generateSecret('lk')).not.toBe(secret)
  })

  it('end with the CRC-32 of their random part in base62', () => {
    const random = 'A'.repeat(32)
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    let rest = BigInt(crc32(random))
    let checksum = ''
    for (let i = 0; i < 6; i++) {
      checksum = digits[Number(rest % 62n)] + checksum
      rest /= 62n
    }
    expect(isWellFormedSecret(`lk_${random}${checksum}`)).toBe(true)
  })

  it('are well-formed only if unchanged', () => {
    const secret = generateSecret('lk')
    expect(isWellFormedSecret(secret)).toBe(true)
    for (let at = 3; at < secret.length; at++) {
      const other = secret[at] === 'a' ? 'b' : 'a'
      expect(isWellFormedSecret(secret.slice(0, at) + other + secret.slice(at + 1))).toBe(false)
    }
    for (const text of [
      '',
      'lk_',
      secret.slice(0, -1),
      `${secret}a`,
      ` ${secret}`,
      `${secret}\n`,
      secret.slice(3),
      'x'.repeat(1e6),
    ])
      expect(isWellFormedSecret(text)).toBe(false)
  })

  it.each([
    ['an issued one', true, generateSecret('acme')],
    ['one of an earlier prefix', true, generateSecret('acme_test')],
    ['an imported one of 16 characters', true, 'x'.repeat(16)],
    ['an imported one of 256 characters', true, '~'.repeat(256)],
    ['an imported one that looks issued under another prefix', true, `sk_live_${'0'.repeat(38)}`],
    ['one with its prefix and a wrong checksum', false, `acme_${'0'.repeat(38)}`],
    ['one with its prefix and of another length', false, `acme_${'0'.repeat(30)}`],
    ['15 characters', false, 'x'.repeat(15)],
    ['257 characters', false, 'x'.repeat(257)],
    ['a control character', false, `${'x'.repeat(20)}\u0000`],
    ['a line break', false, `${'x'.repeat(20)}\n`],
    ['letters beyond ASCII', false, 'ключ'.repeat(5)],
    ['nothing', false, ''],
  ])('can be %s: %j', (_label, can, text) => expect(mayBeSecret(text, 'acme')).toBe(can))

  it('use every base62 character about equally', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 2_000; i++)
      for (const character of generateSecret('lk').slice(3, 35))
        counts.set(character, (counts.get(character) ?? 0) + 1)
    expect(counts.size).toBe(62)
    const expected = (2_000 * 32) / 62
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(expected * 0.3)
  })

  it('are recognised by their start', () => {
    expect(startOf('acme_live_0123456789')).toBe('acme_live_012345')
  })

  it('are stored as their SHA-256', () => {
    expect(digestOf('abc').toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })

  it.each([
    ['lk', true],
    ['acme_live', true],
    ['a1', true],
    ['', false],
    ['1a', false],
    ['LK', false],
    ['a__b', false],
    ['a_', false],
    ['a'.repeat(17), false],
  ])('take %j as a prefix: %j', (text, good) => expect(isPrefix(text)).toBe(good))
})
