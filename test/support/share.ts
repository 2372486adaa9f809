import type { Share } from '../../src/schema/share.ts'

/** A share of all there is, for a test that is alone with a schema. */
export const unshared: Share = {
  operation: async (run) => await run(),
  statement: async (run) => await run(),
  turn: () => undefined,
}
