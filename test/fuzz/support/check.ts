import fc from 'fast-check'

/** Repeats a run: `FUZZ_SEED=<seed> npx vitest run test/fuzz`. */
export const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** `npm run fuzz` multiplies the number of cases. */
const factor = Number(process.env.FUZZ_FACTOR ?? 1)

/** When `npm run fuzz` is to end, in milliseconds since the epoch. */
const untilMs = Number(process.env.FUZZ_UNTIL_MS ?? Number.POSITIVE_INFINITY)

/** How long one property may take, in milliseconds. */
export const propertyTimeoutMs = 30_000 * factor

/** Checks a property on `cases` random values. On failure fast-check reports the smallest value that it finds. */
export async function check<Value>(
  values: fc.Arbitrary<Value>,
  cases: number,
  holds: (value: Value) => void | Promise<void>,
): Promise<void> {
  const property = fc.asyncProperty(values, async (value) => {
    await holds(value)
  })
  const interruptAfterTimeLimit = Math.max(100, Math.min(propertyTimeoutMs * 0.9, untilMs - Date.now()))
  await fc.assert(property, { seed, numRuns: cases * factor, interruptAfterTimeLimit })
}
