import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { load } from './measure.mjs'

const subscribersFile = fileURLToPath(new URL('./load/subscribers.mjs', import.meta.url))
const query =
  'subscription { liveUsage { month snapshot account { calls } apiKeys { apiKeyId calls lastCallAt } } }'

export const watchedCallsPerSecond = 1_000

/** Opens a subscriber of live counts per token, in a process of their own. */
export async function openSubscribers(url, tokens) {
  const child = fork(subscribersFile, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`The subscribers ended with ${code}.`)
  })
  failed.catch(() => {})
  const answered = async () => (await Promise.race([once(child, 'message'), failed]))[0]
  child.send({ url, query, tokens })
  await answered()
  return {
    record: () => child.send('record'),
    /** How long events took to arrive since `record`, and how many came. */
    report() {
      child.send('report')
      return answered()
    },
    async close() {
      child.kill()
      await failed.catch(() => {})
    },
  }
}

/** Meters calls at a fixed rate, slow enough for every server, while subscribers watch. */
export function meterForSubscribers(order) {
  return load({
    ...order,
    distribution: 'uniform',
    transport: 'websocket',
    operation: 'meter',
    callers: 32,
    callsPerSecond: watchedCallsPerSecond,
  })
}
