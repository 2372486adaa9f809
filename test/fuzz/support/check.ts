import fc from 'fast-check'

/** Repeats a run: `FUZZ_SEED=<seed> npx vitest run test/fuzz`. */
export const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** `npm run fuzz` multiplies the number of cases. */
const factor = Number(process.env.FUZZ_FACTOR ?? 1)

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
  // Shrinking repeats the case many times, and a case over the network takes milliseconds.
  await fc.assert(property, {
    seed,
    numRuns: cases * factor,
    interruptAfterTimeLimit: propertyTimeoutMs * 0.9,
  })
}
