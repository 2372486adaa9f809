import { z } from 'zod'

/** Control characters and halves of surrogate pairs: PostgreSQL cannot store some, and no page can show any. */
const unprintable = /[\p{Cc}\p{Cs}]/u

/** One line of text in any script: trimmed, `shortest` to `longest` characters (code points). */
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

/** The id that the SaaS gives a customer. It is an identifier, so it is taken to the letter and not trimmed. */
export const externalIdRule = z
  .string()
  .refine((text) => text !== '' && [...text].length <= 255, 'From 1 to 255 characters.')
  .refine((text) => !unprintable.test(text), 'Control characters are not allowed.')

/** Text to search for; blank finds everything. */
export const searchRule = lineOfText(0, 200)
