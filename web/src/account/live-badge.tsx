import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { LiveConnection, LiveState } from '../api/live.ts'
import { strings } from '../strings.ts'
import { usePage } from '../ui/page.tsx'

/** Interruptions shorter than this are not shown. */
const blinkMs = 1_000

/** Shows the state of the live connection. */
export function useLiveState(live: LiveConnection): LiveState {
  return useUnhurried(useSyncExternalStore(live.onState, live.getState))
}

export function LiveBadge({ state }: { state: LiveState }) {
  const { announce } = usePage()
  const before = useRef(state)
  useEffect(() => {
    const wasAway = before.current === 'reconnecting' || before.current === 'offline'
    if (state === 'reconnecting' || state === 'offline') announce(strings.live.about[state])
    else if (state === 'live' && wasAway) announce(strings.live.back)
    before.current = state
  }, [state, announce])
  return (
    <span className="live" data-state={state} title={strings.live.about[state]}>
      <span className="live-dot" aria-hidden="true" />
      {strings.live[state]}
    </span>
  )
}

function useUnhurried(state: LiveState): LiveState {
  const [shown, setShown] = useState(state)
  useEffect(() => {
    if (state !== 'reconnecting') return setShown(state)
    const timer = setTimeout(() => setShown(state), blinkMs)
    return () => clearTimeout(timer)
  }, [state])
  return shown
}
