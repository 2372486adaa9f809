import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'

const usage = `Fuzzes a server until the time is over, or until a property does not hold.

  npm run fuzz -- [--minutes 10] [--seed SEED]

Each round has a seed of its own, which is printed. --seed repeats one round.
`
/** How many times as many cases a round has as the tests' run: it takes about two minutes. */
const factor = 10

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    help: { type: 'boolean' },
  },
})
const minutes = Number(values.minutes)
if (values.help || !(minutes > 0)) {
  process.stdout.write(usage)
  process.exit(values.help ? 0 : 1)
}

const endMs = Date.now() + minutes * 60_000
let rounds = 0
let code = 0
do {
  const seed = values.seed ?? Math.floor(Math.random() * 2 ** 31)
  process.stdout.write(`\nround ${++rounds}, seed ${seed}\n`)
  code = await run(seed)
} while (code === 0 && values.seed === undefined && Date.now() < endMs)
process.exit(code)

/** Resolves to the exit code. The properties themselves end when the time is over. */
async function run(/** @type {number | string} */ seed) {
  const child = spawn(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.fuzz.config.ts'],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        FUZZ_SEED: String(seed),
        FUZZ_FACTOR: String(factor),
        FUZZ_UNTIL_MS: String(endMs),
      },
    },
  )
  return await new Promise((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)))
}
