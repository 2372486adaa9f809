import { z } from 'zod'
import type { UsageMessage } from '../domain/live-usage/event-bus.ts'
import { isMonth, type Month } from '../domain/month.ts'

/** A message between servers. */
export interface Envelope {
  /** The id of the server that sent it. */
  from: string
  message: UsageMessage
}

/** What arrived is not a message of Latchkey's. */
export class InvalidMessageError extends Error {}

const count = z.int().min(0)

/** Unknown properties are ignored, so that a later version may add some. */
const envelopeRule = z.object({
  from: z.string(),
  message: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('counted'),
      month: z.custom<Month>((value) => typeof value === 'string' && isMonth(value)),
      account: z.object({ calls: count, quota: count.nullable() }),
      apiKeys: z.array(
        z.object({ apiKeyId: z.string(), calls: count, lastCallAt: z.iso.datetime().nullable() }),
      ),
    }),
    z.object({ kind: z.literal('changed') }),
    // Version 0.1 knows no other name for it, and may run beside this one during an upgrade.
    z.object({ kind: z.literal('uncertain') }).transform(() => ({ kind: 'in doubt' as const })),
  ]),
})

export function encode({ from, message }: Envelope): string {
  return JSON.stringify({ from, message: message.kind === 'in doubt' ? { kind: 'uncertain' } : message })
}

/** @throws InvalidMessageError */
export function decode(text: string): Envelope {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InvalidMessageError('A message on Redis is not JSON.', { cause })
  }
  const { data, error } = envelopeRule.safeParse(value)
  if (error) throw new InvalidMessageError(`A message on Redis is invalid. ${z.prettifyError(error)}`)
  return data
}
