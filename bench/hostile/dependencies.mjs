import { connect } from 'node:net'
import { delay } from '../load/stats.mjs'
import { post, subscribeFrame } from './wire.mjs'

const live = 'subscription { liveUsage { account { calls } apiKeys { apiKeyId calls } } }'

/** What is published instead of a message: for everyone, and for the account that is watched. */
const nonsense = [
  'not JSON',
  '{',
  '{"from":"x","message":{"kind":"counted"}}',
  'x'.repeat(10_000),
  '[]',
  'null',
]

async function nonsenseOnRedis(attack) {
  const { redisPort, accountId, token } = attack.target
  const redis = connect(redisPort, '127.0.0.1')
  redis.resume()
  const channels = [`latchkey:account:${accountId}`, 'latchkey:every-account']
  const publish = async () => {
    while (!attack.isOver) {
      for (let i = 0; i < 40; i++) {
        const message = nonsense[attack.sent % nonsense.length]
        const parts = ['PUBLISH', channels[attack.sent % 2], message]
        redis.write(`*3\r\n${parts.map((part) => `$${part.length}\r\n${part}\r\n`).join('')}`)
        attack.sent++
      }
      await delay(10)
    }
    redis.destroy()
  }
  const watch = attack.keepWebSockets(10, token, (socket) =>
    attack.send(socket, subscribeFrame(1, { query: live })),
  )
  await Promise.all([publish(), watch])
}

/** Every request makes the server log a line. */
async function lines(attack) {
  const request = post(
    { query: 'query SomeOperationOfACustomer { __typename }' },
    { token: attack.target.token },
  )
  const many = Buffer.concat(new Array(20).fill(request))
  await attack.keepOpen(8, (socket) => attack.converse(socket, () => many))
}

/** Programs beside Latchkey that do not do what they should. */
export const dependencies = [
  { name: '4,000 messages a second on Redis that are none', redis: true, run: nonsenseOnRedis },
  { name: 'standard output that nobody reads', isOutputRead: false, run: lines },
]
