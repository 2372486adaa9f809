import type { MeteredCall } from '../../domain/metering/decision.ts'
import { generateSecret } from '../../domain/secret.ts'
import type { TrafficPlan } from './server.ts'

/** The shares of the traffic that are meant to be refused. */
const share = { invalidKey: 0.02, unknownApiCall: 0.01, deniedAccess: 0.04 }

/** Polling dashboards and status pages dominate the traffic of a monitoring SaaS. Other calls weigh 1. */
const weights: Readonly<Record<string, number>> = {
  'v3.uptime-monitors.list': 60,
  'v3.uptime-monitors.report': 30,
  'v3.ping': 25,
  'v3.status-pages.list': 15,
  'v3.server-agent.metrics': 12,
  'v3.uptime-monitors.downtimes': 8,
  'v3.blacklist-monitors.report': 4,
}

const unknownApiCall = 'v3.uptime-monitors.teleport'

/** Picks the next call at random; null if the account has no usable key. `random` is uniform on [0, 1). */
export function nextCall(
  { keys, apiCalls }: TrafficPlan,
  keyPrefix: string,
  random: () => number = Math.random,
): MeteredCall | null {
  const dice = random()
  if (dice < share.invalidKey)
    return { secret: generateSecret(keyPrefix), apiCall: pick(apiCalls, weightOf, random) ?? unknownApiCall }
  if (dice < share.invalidKey + share.unknownApiCall) {
    const key = pick(keys, () => 1, random)
    return key && { secret: key.secret, apiCall: unknownApiCall }
  }
  if (dice < share.invalidKey + share.unknownApiCall + share.deniedAccess) {
    const key = pick(
      keys.filter(({ restrictedTo }) => restrictedTo !== null),
      () => 1,
      random,
    )
    const denied = pick(
      apiCalls.filter((name) => !key?.restrictedTo?.includes(name)),
      weightOf,
      random,
    )
    if (key && denied) return { secret: key.secret, apiCall: denied }
  }
  return allowedCall({ keys, apiCalls }, random)
}

/** A key that may call everything is a backend's, and makes more calls than one for a special purpose. */
function allowedCall({ keys, apiCalls }: TrafficPlan, random: () => number): MeteredCall | null {
  const usable = keys.filter(({ restrictedTo }) => restrictedTo === null || restrictedTo.length > 0)
  const key = pick(usable, ({ restrictedTo }) => (restrictedTo === null ? 3 : 1), random)
  const apiCall = pick(key?.restrictedTo ?? apiCalls, weightOf, random)
  return key && apiCall ? { secret: key.secret, apiCall } : null
}

function weightOf(apiCall: string): number {
  return weights[apiCall] ?? 1
}

function pick<Item>(
  items: readonly Item[],
  weigh: (item: Item) => number,
  random: () => number,
): Item | null {
  let left = random() * items.reduce((sum, item) => sum + weigh(item), 0)
  for (const item of items) {
    left -= weigh(item)
    if (left < 0) return item
  }
  return null
}
