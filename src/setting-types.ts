import { z } from 'zod'
import type { EncryptionKey } from './domain/secret-vault.ts'

// What the text of a setting may be, with a sentence for whoever wrote it wrong, and what is made of it.

/** A URL of one of these protocols, as `new URL` has them: with a colon. */
export const urlOf = (...protocols: string[]) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    message: `It must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}.`,
  })

/** What connects to Redis decodes names and passwords, and fails where they cannot be. */
export function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** From `least` to `most`. */
export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, `It must be a whole number from ${least} to ${most}.`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `It must be a whole number from ${least} to ${most}.`)

/** As browsers write it: neither a path nor a slash at the end, no port where it is the usual one. */
export const isOrigin = (text: string) =>
  /^https?:\/\/[\w.:[\]-]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text

/** Origins, separated by commas; undefined for `*`, any. */
export function readOrigins(text: string, context: z.core.$RefinementCtx): string[] | undefined {
  if (text.trim() === '*') return undefined
  const origins = text.split(',').map((part) => part.trim())
  for (const origin of origins.filter((part) => !isOrigin(part)))
    context.addIssue({
      code: 'custom',
      message: `It must be * or origins such as https://app.example.com, separated by commas. ${JSON.stringify(origin)} is none.`,
    })
  return origins
}

/** 32 bytes in base64, with the characters of either alphabet. */
const base64Key = /^[A-Za-z0-9+/_-]{43}=?$/

/** `kid:key`, separated by commas; the first is the one that secrets are sealed with. */
export const encryptionKeys = z.string().transform((text, context): EncryptionKey[] => {
  const refuse = (message: string) => context.addIssue({ code: 'custom', message })
  const keys = text.split(',').map((part) => {
    const [kid = '', encoded = ''] = part.trim().split(/:(.*)/s)
    if (!kid || !base64Key.test(encoded))
      refuse('Each key must be written kid:key, the key being 32 bytes in base64.')
    return { kid, key: new Uint8Array(Buffer.from(encoded, 'base64')) }
  })
  // Of two keys with one id, the second would open nothing.
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) refuse('Each key must have a kid of its own.')
  return keys
})
