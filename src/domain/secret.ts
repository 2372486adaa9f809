import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { customAlphabet } from 'nanoid'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const randomLength = 32
const checksumLength = 6
const startLength = 6

const randomPart = customAlphabet(base62, randomLength)

/** Finds secrets in a text, whatever prefix they were issued with. */
export const secretPattern = /[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{38}/g
const wholeSecret = /^[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{38}$/

/** True for a valid prefix, such as `lk` or `acme_live`: at most 16 characters, before a secret's last underscore. */
export function isPrefix(text: string): boolean {
  return text.length <= 16 && /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(text)
}

/** Base62 digits of the CRC-32 (ISO-HDLC, as in zlib) of the random characters, most significant first. */
function checksumOf(random: string): string {
  let rest = crc32(random)
  let digits = ''
  for (let i = 0; i < checksumLength; i++) {
    digits = base62.charAt(rest % 62) + digits
    rest = Math.floor(rest / 62)
  }
  return digits
}

/** A new secret: `<prefix>_<32 base62 characters from a CSPRNG><6 base62 characters of their CRC-32>`. */
export function generateSecret(prefix: string): string {
  return secretFrom(prefix, randomPart())
}

/** The secret with these 32 base62 characters as its random part. */
export function secretFrom(prefix: string, random: string): string {
  return `${prefix}_${random}${checksumOf(random)}`
}

const printable = /^[ -~]{16,256}$/

/**
 * False for text that no key can have as its secret. With the prefix that secrets are issued with, the checksum tells
 * without asking the database. Others may have been imported, or issued under an earlier prefix.
 */
export function mayBeSecret(text: string, prefix: string): boolean {
  const isOwn = text.startsWith(prefix) && text.lastIndexOf('_') === prefix.length
  return isOwn ? isWellFormedSecret(text) : printable.test(text)
}

/** Checks a secret's form and checksum, not whether it was ever issued. */
export function isWellFormedSecret(text: string): boolean {
  if (!wholeSecret.test(text)) return false
  const random = text.slice(-(randomLength + checksumLength), -checksumLength)
  return text.endsWith(checksumOf(random))
}

/** The SHA-256 that is stored instead of the secret. 190 random bits need neither salt nor stretching. */
export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

/** The prefix and the next 6 characters: enough to recognise a secret, not enough to use it. */
export function startOf(secret: string): string {
  return secret.slice(0, secret.lastIndexOf('_') + 1 + startLength)
}
