import { useEffect, useRef } from 'react'
import type { Api } from '../api/client.ts'
import { LiveUsageDocument } from '../generated/graphql.ts'

/**
 * Subscribes to the account's live counts, which update the cache. A snapshot means that the list of keys may have
 * changed: here, in another window, or while disconnected.
 */
export function useLiveUsage({ client, live }: Api, onChange: () => void): void {
  const listener = useRef(onChange)
  listener.current = onChange
  useEffect(() => {
    const { unsubscribe } = client.subscription(LiveUsageDocument, {}).subscribe(({ data }) => {
      if (data?.liveUsage.snapshot) listener.current()
    })
    return unsubscribe
  }, [client])
  // The page shows what to do about it.
  useEffect(() => live.onState(() => live.getState() === 'signedOut' && listener.current()), [live])
}
