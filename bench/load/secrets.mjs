import { createHash } from 'node:crypto'
import { secretFrom } from '../../dist/domain/secret.js'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The secret of the bench's nth key, derived from its number, so that processes need not exchange secrets. */
export function secretOf(index) {
  let random = ''
  for (const byte of createHash('sha256').update(`bench key ${index}`).digest()) random += base62[byte % 62]
  return secretFrom('lk', random)
}

/** The secrets of the first `count` keys. */
export function secretsOf(count) {
  return Array.from({ length: count }, (_, index) => secretOf(index))
}
