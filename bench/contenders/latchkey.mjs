// Latchkey from this checkout's build, with default settings. A no-op mutation is added to its schema, to measure what
// the server costs without metering.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { createApp } from '../../dist/app.js'
import { readConfig } from '../../dist/config.js'
import { mintToken } from '../../dist/development.js'
import { createLogger } from '../../dist/log.js'
import { schema } from '../../dist/schema/index.js'
import { pickerOf } from '../load/picker.mjs'
import { secretsOf } from '../load/secrets.mjs'
import { run } from '../load/stats.mjs'
import { serve, settings } from './process.mjs'

const { environment } = settings()
// Made from an existing field, because the build has a copy of graphql of its own, and graphql refuses a schema that
// another copy made. It is executed the way the metering mutations are.
const mutations = schema.getMutationType().getFields()
mutations.noop = {
  ...mutations.meterApiCall,
  name: 'noop',
  args: [],
  resolve: () => ({ code: 'KEY_INVALID' }),
  extensions: { metering: true },
}

const config = readConfig(
  { PORT: '0', AUTH_SECRET: 'x'.repeat(32), NODE_ENV: 'production', ...environment },
  () => {
    throw new Error('The bench gives every secret.')
  },
)
const log = createLogger(config.logLevel)
const app = await createApp({ config, log, schema })
const token = (scopes, account) => mintToken(config.auth, { subject: 'bench', scopes, account })

process.on('SIGINT', () => process.exit())

let delay
serve(
  {
    url: `${app.url}/graphql`,
    gatewayToken: await token(['calls:meter']),
    operatorToken: await token(['admin']),
  },
  async (question) => {
    if (question.kind === 'in-process') {
      const secrets = secretsOf(question.keys)
      const pick = pickerOf(question)
      const call = async () => {
        const [{ code }] = await app.services.meter.admit([{ secret: secrets[pick()], apiCall: 'v3.ping' }])
        return { calls: 1, refused: code === 'ADMITTED' ? 0 : 1 }
      }
      return await run({ ...question, call })
    }
    if (question.kind === 'token') return await token(question.scopes, question.account)
    if (question.kind === 'make keys') return await makeKeys(question.keys)
    if (question.kind === 'watch delay') {
      delay = monitorEventLoopDelay({ resolution: 5 })
      delay.enable()
      return {}
    }
    if (question.kind === 'usage') {
      if (question.collect) globalThis.gc?.()
      return {
        delayP99Ms: delay ? delay.percentile(99) / 1e6 : undefined,
        memory: process.memoryUsage(),
        cpu: process.cpuUsage(),
        at: performance.now(),
      }
    }
  },
)

/** Adds keys through the services, because only the server can reach the embedded database. */
async function makeKeys(count) {
  const { accounts, catalogue, keys } = app.services
  await catalogue.savePlan({ slug: 'bench', name: 'Bench', maxApiKeys: 1_000, monthlyCallQuota: null })
  const secrets = []
  for (let i = 0; i < count; i += 10) {
    const externalId = `account-${i / 10}`
    await accounts.save({ externalId, name: 'Account', plan: 'bench' })
    const accountId = await accounts.find(externalId)
    for (let key = 0; key < 10; key++)
      secrets.push((await keys.add(accountId, null, { mode: 'FULL' })).secret)
  }
  return secrets
}
