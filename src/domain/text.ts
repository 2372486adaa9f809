import { z } from 'zod'

/** Control characters and lone surrogates. PostgreSQL cannot store some of them, and no page can show them. */
const unprintable = /[\p{Cc}\p{Cs}]/u

/** False for text with control characters or lone surrogates. */
export function isPrintable(text: string): boolean {
  return !unprintable.test(text)
}

/** A line of text in any script: trimmed, from `shortest` to `longest` code points. */
export function lineOfText(shortest: number, longest: number) {
  return z
    .string()
    .trim()
    .refine((text) => !unprintable.test(text), 'Control characters are not allowed.')
    .refine((text) => [...text].length <= longest, `At most ${longest} characters.`)
    .refine(
      (text) => [...text].length >= shortest,
      shortest === 1 ? 'It must not be empty.' : `At least ${shortest} characters.`,
    )
}

/** A name that another system gave, of 1 to `longest` code points. Not trimmed, because it is an identifier. */
export function identifier(longest: number) {
  return z
    .string()
    .refine((text) => text !== '' && [...text].length <= longest, `From 1 to ${longest} characters.`)
    .refine((text) => !unprintable.test(text), 'Control characters are not allowed.')
}

/** The SaaS's own id for a customer. */
export const externalIdRule = identifier(255)

/** Text to search for. Blank text finds everything. */
export const searchRule = lineOfText(0, 200)
