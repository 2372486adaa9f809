/**
 * Lets a bounded number of callers proceed in one turn of the event loop, and the rest in the following turns, in
 * order. libuv polls up to 1,024 events at a time, and goes on polling while there are that many: without turns,
 * clients that send their next request as soon as they are answered starve timers and the meter's commits for seconds.
 * @returns what a caller awaits before it proceeds; undefined where it may proceed at once
 */
export function createTurns(perTurn: number): () => Promise<void> | undefined {
  const waiting: (() => void)[] = []
  let inThisTurn = 0
  const nextTurn = () => {
    const next = waiting.splice(0, perTurn)
    inThisTurn = next.length
    if (inThisTurn > 0) setImmediate(nextTurn)
    for (const proceed of next) proceed()
  }
  return () => {
    if (inThisTurn === 0) setImmediate(nextTurn)
    if (++inThisTurn > perTurn) return new Promise((resolve) => waiting.push(resolve))
  }
}
