// @ts-check
// Runs PGlite (PostgreSQL as WebAssembly) off the main thread, behind a Unix socket that speaks PostgreSQL's
// protocol. Plain JavaScript, because a worker is loaded by Node.js itself, in tests as in the build.
import { chmod, rename, rm, stat } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** @type {{ dataDir: string, socketPath: string }} */
const { dataDir, socketPath } = workerData

// A first start that is cut short leaves half a database, which no later one could open. So it is made under
// another name, which it keeps until it is whole.
const unfinished = `${dataDir}.unfinished`
if (!(await stat(dataDir).catch(() => undefined))) {
  await rm(unfinished, { recursive: true, force: true })
  await (await PGlite.create(unfinished)).close()
  await rename(unfinished, dataDir)
}
// PGlite makes its files readable to everyone.
await chmod(dataDir, 0o700)

const database = await PGlite.create(dataDir)
// One is used at a time; but one that takes another's place comes before the other is quite gone.
const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 2 })
await server.start()

parentPort?.once('message', async () => {
  await server.stop()
  await database.close()
  parentPort?.close()
})
parentPort?.postMessage('ready')
