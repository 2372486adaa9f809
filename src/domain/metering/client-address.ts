const v4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const mayBeV6 = /^[0-9a-f:.]{2,45}$/i
const mappedV4 = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/

/**
 * The one spelling of an IP address, '' for text that is none. A v4-mapped v6 address means the v4 address, as
 * gateways that listen on both see v4 clients under it.
 */
export function canonicalAddress(text: string): string {
  if (v4.test(text)) return text
  if (!mayBeV6.test(text) || !URL.canParse(`http://[${text}]`)) return ''
  const host = new URL(`http://[${text}]`).hostname
  const [, high, low] = mappedV4.exec(host) ?? []
  if (high === undefined || low === undefined) return host.slice(1, -1)
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}
