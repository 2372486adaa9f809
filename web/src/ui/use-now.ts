import { useSyncExternalStore } from 'react'

/** How often "a minute ago" is written anew. */
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

/** The time, in milliseconds since 1970, as of the last tick that all of the page shares. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => now)
