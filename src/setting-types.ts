import { z } from 'zod'
import type { EncryptionKey } from './domain/secret-vault.ts'

// The types of settings: which text is accepted, what it is parsed to, and the message if it is not accepted. The
// message follows the setting's name.

/** A URL with one of these protocols, each written as in `URL.protocol`, with a colon. */
export const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}.`,
  })

/** Whether percent-decoding succeeds. The Redis client decodes user names and passwords, and throws if it cannot. */
export function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** A whole number from `least` to `most`, in decimal digits. */
export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${least} to ${most}.`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}.`)

/** True for an origin as browsers send it: lower case, no path, no trailing slash, no default port. */
export const isOrigin = (text: string) =>
  /^https?:\/\/[\w.:[\]-]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text

/** Parses a comma-separated list of origins. Undefined for `*`, which means any. */
export function readOrigins(text: string, context: z.core.$RefinementCtx): string[] | undefined {
  if (text.trim() === '*') return undefined
  const origins = text.split(',').map((part) => part.trim())
  for (const origin of origins.filter((part) => !isOrigin(part)))
    context.addIssue({
      code: 'custom',
      message: `must be * or a comma-separated list of origins such as https://app.example.com. ${JSON.stringify(origin)} is not an origin.`,
    })
  return origins
}

/** 32 bytes in base64 or base64url. */
const base64Key = /^[A-Za-z0-9+/_-]{43}=?$/

/** A comma-separated list of `kid:key`. Secrets are sealed with the first key. */
export const encryptionKeys = z.string().transform((text, context): EncryptionKey[] => {
  const refuse = (message: string) => context.addIssue({ code: 'custom', message })
  const keys = text.split(',').map((part) => {
    const [kid = '', encoded = ''] = part.trim().split(/:(.*)/s)
    if (!kid || !base64Key.test(encoded))
      refuse('must be a comma-separated list of kid:key, each key being 32 bytes in base64.')
    return { kid, key: new Uint8Array(Buffer.from(encoded, 'base64')) }
  })
  // A second key with the same id would never be used.
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    refuse('must have a different kid for each key.')
  return keys
})
