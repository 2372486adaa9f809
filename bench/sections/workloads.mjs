import { startLatchkey } from '../latchkey.mjs'
import { interleave, load } from '../measure.mjs'

/** One server under different loads. */
export async function workloads({ keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the workloads …')
  const [latchkey, denied] = await Promise.all([
    startLatchkey('workloads', { keys }),
    startLatchkey('denied', { keys, someDenied: true }),
  ])
  const order = ({ url, gatewayToken: token, cpu }, more) =>
    load({
      url,
      token,
      cpu,
      keys,
      distribution: 'uniform',
      warmupMs,
      measureMs,
      transport: 'websocket',
      operation: 'meter',
      callers: 64,
      ...more,
    })
  const lines = await interleave(
    [
      ...[1, 64, 512].map((callers) => ({
        name: `uniform, graphql-ws, ${callersText(callers)}`,
        run: () => order(latchkey, { callers }),
      })),
      ...[1, 64, 512].map((callers) => ({
        name: `uniform, HTTP POST, ${callersText(callers)}`,
        run: () => order(latchkey, { callers, transport: 'http' }),
      })),
      {
        name: 'Zipf (s = 1.1), graphql-ws, 64 callers',
        run: () => order(latchkey, { distribution: 'zipf' }),
      },
      { name: 'one hot key, graphql-ws, 64 callers', run: () => order(latchkey, { distribution: 'hot' }) },
      { name: '5% of calls denied, graphql-ws, 64 callers', run: () => order(denied, {}) },
    ],
    rounds,
    tell,
  )
  await latchkey.stop()
  await denied.stop()
  return { title: 'Workloads', lines }
}

const callersText = (callers) => (callers === 1 ? '1 caller' : `${callers} callers`)
