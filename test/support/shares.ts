import { FairShare } from '../../src/overload/fair-share.ts'

/** Shares that are large enough for whatever a test does. */
export const createShares = () =>
  new FairShare({
    operations: 100,
    operationsPerOwner: 100,
    connections: 1_000,
    connectionsPerOwner: 1_000,
    workPerTurn: 1_000,
  })
