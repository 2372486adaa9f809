import { describe, expect, it } from 'vitest'
import { canonicalAddress } from '../../src/domain/metering/client-address.ts'
import { canonicalNetwork } from '../../src/domain/networks.ts'

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::192.0.2.1', '2001:db8::c000:201'],
    ['::', '::'],
    ['::1', '::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
    ['::ffff:0:0', '0.0.0.0'],
    // IPv4-compatible and translated addresses are IPv6.
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('%s means %s', (text, canonical) => expect(canonicalAddress(text)).toBe(canonical))

  it.each([
    '',
    ' 192.0.2.1',
    '192.0.2.1 ',
    '192.0.2.1\n',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '0xc0.0.2.1',
    '3221225985',
    'fe80::1%eth0',
    '[::1]',
    ':::',
    '1:2:3:4:5:6:7:8:9',
    '::ffff:192.0.2.256',
    'example.com',
    'localhost',
    '192.0.2.1:443',
    '::1\u0000',
    '1'.repeat(100_000),
  ])('is not %j', (text) => expect(canonicalAddress(text)).toBe(''))
})

describe('a network', () => {
  it.each([
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['192.0.2.1', '192.0.2.1/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::ffff:192.0.2.1', '192.0.2.1/32'],
  ])('%s means %s', (text, canonical) => {
    expect(canonicalNetwork(text)).toBe(canonical)
    expect(canonicalNetwork(canonical)).toBe(canonical)
  })

  it.each([
    '',
    '/24',
    '192.0.2.0/',
    '192.0.2.0/33',
    '192.0.2.0/-1',
    '192.0.2.0/024',
    '192.0.2.0/24/24',
    '192.0.2.0/255.255.255.0',
    '192.0.2.0 /24',
    '::/129',
    'fe80::1%eth0/64',
    // Neither a network of IPv4 nor one of IPv6.
    '::ffff:192.0.2.0/95',
    '::ffff:0:0/0',
  ])('is not %j', (text) => expect(canonicalNetwork(text)).toBeNull())
})
