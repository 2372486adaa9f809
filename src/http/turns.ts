/**
 * Makes what lets so many go on in a turn of the event loop, and the rest in the next ones, in order. libuv takes in 1,024
 * events at a time, and for as long as there are so many it looks for more before anything else has its turn: clients
 * that ask again as soon as they are answered would keep timers and the meter's commits waiting for seconds.
 */
export function createTurns(perTurn: number): () => Promise<void> | undefined {
  const waiting: (() => void)[] = []
  let inThisTurn = 0
  const nextTurn = () => {
    const next = waiting.splice(0, perTurn)
    inThisTurn = next.length
    if (inThisTurn > 0) setImmediate(nextTurn)
    for (const goOn of next) goOn()
  }
  return () => {
    if (inThisTurn === 0) setImmediate(nextTurn)
    if (++inThisTurn > perTurn) return new Promise((resolve) => waiting.push(resolve))
  }
}
