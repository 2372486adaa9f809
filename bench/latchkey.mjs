import { createDatabase, dropDatabase } from './contenders/database.mjs'
import { startContender } from './contenders/process.mjs'
import { fill } from './data.mjs'

/** Starts Latchkey on a database of its own, filled with `data` (see `fill`) if given. */
export async function startLatchkey(name, data) {
  const url = await createDatabase(name)
  const server = await startContender('./latchkey.mjs', { environment: { DATABASE_URL: url } })
  if (data) await fill(url, data)
  return {
    ...server,
    async stop() {
      await server.stop()
      await dropDatabase(url)
    },
  }
}
