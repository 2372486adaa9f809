import { startLatchkey } from '../latchkey.mjs'
import { interleave, load } from '../measure.mjs'
import { check } from '../report.mjs'

/** How the cost of a call grows with the amount of data stored. */
export async function growth({ sizes, keys, warmupMs, measureMs, rounds, tell }) {
  tell('preparing the growth (this takes a while) …')
  const variants = [
    ...sizes.map((size) => ({ name: `${size.toLocaleString('en-US')} keys`, data: { keys: size } })),
    { name: `${keys.toLocaleString('en-US')} keys, 1 month, lists of 1`, data: { keys, accessList: 1 } },
    { name: `${keys.toLocaleString('en-US')} keys, 24 months`, data: { keys, months: 24, accessList: 1 } },
    { name: `${keys.toLocaleString('en-US')} keys, lists of 40`, data: { keys, accessList: 40 } },
  ]
  const servers = await Promise.all(
    variants.map(async ({ name, data }, index) => ({
      name,
      data,
      ...(await startLatchkey(`growth_${index}`, data)),
    })),
  )
  const lines = await interleave(
    servers.map(({ name, data, url, gatewayToken: token, cpu }) => ({
      name,
      run: () =>
        load({
          url,
          token,
          cpu,
          keys: data.keys,
          distribution: 'zipf',
          warmupMs,
          measureMs,
          transport: 'websocket',
          operation: 'meter',
          callers: 64,
        }),
    })),
    rounds,
    tell,
  )
  await Promise.all(servers.map(({ stop }) => stop()))
  const cost = (name, than) =>
    lines.find((line) => line.name === than).callsPerSecond /
    lines.find((line) => line.name === name).callsPerSecond
  const [smallest, largest] = [variants[0].name, variants[sizes.length - 1].name]
  const [plain, history, lists] = variants.slice(sizes.length).map(({ name }) => name)
  return {
    title: 'Growth: Zipf, graphql-ws, 64 callers',
    lines,
    checks: [
      check(`cost of a call at ${largest} to that at ${smallest}`, cost(largest, smallest), 'at most', 1.3),
      check('cost with 24 months of history to that with 1', cost(history, plain), 'at most', 1.1),
      check('cost with lists of 40 API calls to that with lists of 1', cost(lists, plain), 'at most', 1.1),
    ],
  }
}
