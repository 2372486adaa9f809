import { useSyncExternalStore } from 'react'

/** How often relative times such as "a minute ago" are updated. */
const tickMs = 10_000

const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(() => {
    now = Date.now()
    for (const listener of listeners) listener()
  }, tickMs)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** The time of the last tick, in milliseconds since 1970. The whole page shares one timer. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now)
