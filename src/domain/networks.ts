import { z } from 'zod'
import { canonicalAddress } from './metering/client-address.ts'

/** An address and the length of its network's prefix in bits, if there is one. */
const addressAndBits = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/

/**
 * A network in CIDR notation with its address in canonical form; bits beyond the prefix are kept. An address alone is
 * the network of that address. Null for any other text, and for an IPv4-mapped address with a prefix of less than 96
 * bits, which would be neither a network of IPv4 nor one of IPv6.
 */
export function canonicalNetwork(text: string): string | null {
  const [, address = '', prefix] = addressAndBits.exec(text) ?? []
  const canonical = canonicalAddress(address)
  if (canonical === '') return null
  const longest = address.includes(':') ? 128 : 32
  const bits = prefix === undefined ? longest : Number(prefix)
  const unused = longest === 128 && !canonical.includes(':') ? 96 : 0
  return bits > longest || bits < unused ? null : `${canonical}/${bits - unused}`
}

/** A network that a key may be used from. The result is in canonical form. */
export const networkRule = z.string().transform((text, context) => {
  const network = canonicalNetwork(text)
  if (network !== null) return network
  context.addIssue({
    code: 'custom',
    message: 'A network is an IPv4 or IPv6 address and a prefix, such as 192.0.2.0/24 or 2001:db8::/32.',
  })
  return z.NEVER
})
