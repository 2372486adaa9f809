import { digestOf } from '../secret.ts'
import type { WaitingCall } from './batch.ts'
import { canonicalAddress } from './client-address.ts'
import type { DetailHints } from './detail-hints.ts'
import type { CallGroup, Needs } from './usage-store.ts'

/**
 * Groups calls by secret, API call and what else decides about them. Calls that do not fit a limit belong to a group but
 * are not counted in it.
 */
export function groupCalls(
  calls: readonly WaitingCall[],
  hints: DetailHints,
): { groups: CallGroup[]; groupOf: number[] } {
  const groups: CallGroup[] = []
  const indexes = new Map<string, number>()
  const secrets = new Map<string, { digest: Uint8Array; needs: Needs }>()
  const groupOf = calls.map((call) => {
    const { secret, apiCall, requestId, refusal } = call
    let known = secrets.get(secret)
    if (!known) {
      const digest = digestOf(secret)
      known = { digest, needs: hints.of(digest) }
      secrets.set(secret, known)
    }
    const { digest, needs } = known
    const address = needs.addresses ? canonicalAddress(call.clientIp ?? '') : null
    const resourceType = needs.resources ? (call.resource?.type ?? '') : null
    const resourceId = needs.resources ? (call.resource?.id ?? null) : null
    // No part contains a line break.
    let key = `${secret}\n${apiCall}`
    if (address !== null) key += `\n${address}`
    if (resourceType !== null) key += `\n${resourceType}\n${resourceId ?? ''}`
    let index = requestId ? undefined : indexes.get(key)
    if (index === undefined) {
      const group = {
        digest,
        apiCall,
        calls: 0,
        address,
        resourceType,
        resourceId,
        requestId: requestId ?? null,
      }
      index = groups.push(group) - 1
      if (!requestId) indexes.set(key, index)
    }
    if (!refusal) (groups[index] as CallGroup).calls++
    return index
  })
  return { groups, groupOf }
}
