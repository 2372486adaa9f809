import { useEffect, useRef } from 'react'
import type { Api } from '../api/client.ts'
import { LiveUsageDocument } from '../generated/graphql.ts'

/**
 * Follows the account's live counts; the cache takes them in. A snapshot says that the list of keys may have
 * changed, here, in another window, or while the connection was away.
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
  // The page says what to do about it.
  useEffect(() => live.onState(() => live.getState() === 'signedOut' && listener.current()), [live])
}
